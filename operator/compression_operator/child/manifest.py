"""A CompressionJob as the contract and the runner read it."""

from typing import Any, Final

from compression_operator.records.job import JobRecord
from compressionjob.group import API_VERSION, JOB_KIND
from compressionjob.mutability import CHANGING_FIELDS
from compressionjob.review_rules import stricter

_OF_OPERATOR: Final = CHANGING_FIELDS | {"author", "maxInterruptions"}
"""Fields that change nothing in a pod, or may change while it runs."""


def manifest_of(job: JobRecord) -> dict[str, Any]:
    """The manifest of a job, with the metadata that this project reads."""
    return {
        "apiVersion": API_VERSION,
        "kind": JOB_KIND,
        "metadata": {"name": job.name, "namespace": job.namespace, "uid": job.uid},
        "spec": job.spec(),
    }


def pod_manifest_of(job: JobRecord) -> dict[str, Any]:
    """The manifest that a pod gets: without what is the operator's business, and with the review that holds."""
    manifest = manifest_of(job)
    spec = {key: value for key, value in manifest["spec"].items() if key not in _OF_OPERATOR}
    terms = job.status().terms
    if terms is not None and terms.review != "Never":
        spec["review"] = stricter(spec.get("review"), terms.review)
    return manifest | {"spec": spec}
