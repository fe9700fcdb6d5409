"""The manifest of a CompressionJob, as the contract and the runner read it."""

from typing import Any, Final

from compression_operator.records.job import JobRecord
from compressionjob.group import API_VERSION, JOB_KIND
from compressionjob.mutability import CHANGING_FIELDS
from compressionjob.review_rules import stricter

_OF_OPERATOR: Final = CHANGING_FIELDS | {"author", "maxInterruptions"}
"""Fields that have no effect in a pod, or that may change while it runs."""


def manifest_of(job: JobRecord) -> dict[str, Any]:
    """Return the manifest of a job, with the metadata that this project reads."""
    return {
        "apiVersion": API_VERSION,
        "kind": JOB_KIND,
        "metadata": {"name": job.name, "namespace": job.namespace, "uid": job.uid},
        "spec": job.spec(),
    }


def pod_manifest_of(job: JobRecord) -> dict[str, Any]:
    """Return the manifest for a pod: without the fields of the operator, and with the effective review setting."""
    manifest = manifest_of(job)
    spec = {key: value for key, value in manifest["spec"].items() if key not in _OF_OPERATOR}
    terms = job.status().terms
    if terms is not None and terms.review != "Never":
        spec["review"] = stricter(spec.get("review"), terms.review)
    return manifest | {"spec": spec}
