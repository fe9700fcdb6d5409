"""A CompressionJob as the contract and the runner read it."""

from typing import Any

from compression_operator.records.job import JobRecord
from compressionjob.group import API_VERSION, JOB_KIND
from compressionjob.mutability import CHANGING_FIELDS


def manifest_of(job: JobRecord) -> dict[str, Any]:
    """The manifest of a job, with the metadata that this project reads."""
    return {
        "apiVersion": API_VERSION,
        "kind": JOB_KIND,
        "metadata": {"name": job.name, "namespace": job.namespace, "uid": job.uid},
        "spec": job.spec(),
    }


def pod_manifest_of(job: JobRecord) -> dict[str, Any]:
    """The manifest that a pod gets: without what may change while it runs and is the operator's business."""
    manifest = manifest_of(job)
    manifest["spec"] = {key: value for key, value in manifest["spec"].items() if key not in CHANGING_FIELDS}
    return manifest
