"""Labels of child Jobs and their pods."""

from typing import Final

from compression_operator.records.job import JobRecord
from compression_operator.records.labels import label_value
from compressionjob.group import JOB_LABEL, JOB_UID_LABEL, MANAGED_BY, MANAGED_BY_LABEL, PART_LABEL

_RECOMMENDED: Final = {
    "app.kubernetes.io/name": "compression-runner",
    "app.kubernetes.io/component": "runner",
    "app.kubernetes.io/part-of": "compression-operator",
    MANAGED_BY_LABEL: MANAGED_BY,
}
"""Kubernetes' recommended labels. The name differs from the operator's, since its Service and policies select by it."""


def labels_of(job: JobRecord) -> dict[str, str]:
    """Return the labels of a job's child and its pods; the uid identifies the job, the name is for people."""
    name = label_value(job.name)
    return _RECOMMENDED | {
        "app.kubernetes.io/instance": name,
        JOB_LABEL: name,
        JOB_UID_LABEL: job.uid,
        PART_LABEL: job.part,
    }
