"""CustomResourceDefinitions from the pydantic models: ``python -m compressionjob.crd DIRECTORY...`` writes them."""

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from compressionjob.crd_schema import structural
from compressionjob.examples import with_examples
from compressionjob.group import (
    GROUP,
    JOB_KIND,
    JOB_PLURAL,
    JOB_SHORT_NAME,
    REVIEW_KIND,
    REVIEW_PLURAL,
    REVIEW_SHORT_NAME,
    RUNTIME_KIND,
    RUNTIME_PLURAL,
    RUNTIME_SHORT_NAME,
    STORE_KIND,
    STORE_PLURAL,
    STORE_SHORT_NAME,
    VERSION,
)  # fmt: skip
from compressionjob.mutability import restrict_changes
from compressionjob.review import CompressionReviewSpec
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import CompressionJobSpec
from compressionjob.status import CompressionJobStatus
from compressionjob.stores import CompressionStoreSpec


def _column(name: str, path: str, kind: str = "string", *, priority: int = 0, description: str) -> dict[str, Any]:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": priority} if priority else {})


_JOB_COLUMNS: Final = [
    _column("Phase", ".status.phase", description="Pending, Running, Suspended, AwaitingReview, Succeeded, Failed"),
    _column("Reason", ".status.reason", description="Reason of the phase"),
    _column("Stage", ".status.stage", description="Current step"),
    _column("Progress", ".status.progressText", description="Completed share in %"),
    _column("Size", ".status.sizeRatio", description="Size of the compressed model divided by the baseline's"),
    _column("P99", ".status.latencyP99", description="p99 latency of the compressed model"),
    _column("Verdict", ".status.verdict", description="Pass, Fail, Inconclusive or NoLimits"),
    _column("Confidence", ".status.confidence", priority=1, description="Confidence of the verdict"),
    _column("Runtime", ".spec.runtime", priority=1, description="CompressionRuntime"),
    _column("Cost", ".status.cost", priority=1, description="Cost of its pods so far"),
    _column("Expected", ".status.expectedCompletionTime", priority=1, description="Expected completion time"),
    _column("Message", ".status.message", priority=1, description="State in one sentence"),
    _column("Age", ".metadata.creationTimestamp", "date", description="Time since creation"),
]
_SELECTABLE: Final = (".status.phase", ".spec.runtime")
"""Fields of a job by which ``kubectl get --field-selector`` selects."""
_UNSEEN: Final = {"observedGeneration": -1}
"""Status of a job that no operator has seen. Without it kstatus (used by helm) takes a new job for a completed one."""
_REVIEW_COLUMNS: Final = [
    _column("Job", ".spec.job", description="Reviewed CompressionJob"),
    _column("Decision", ".spec.decision", description="Approve or Reject"),
    _column("Reviewer", ".spec.reviewer", description="User who decided"),
    _column("Reason", ".spec.reason", description="Reason of the decision"),
    _column("Digest", ".spec.digest", priority=1, description="Digest of the reviewed model"),
    _column("Job UID", ".spec.jobUID", priority=1, description="uid of that CompressionJob"),
    _column("Age", ".metadata.creationTimestamp", "date", description="Time since creation"),
]
_RUNTIME_COLUMNS: Final = [
    _column("Image", ".spec.image", description="Image of the pods"),
    _column("CPU", ".spec.resources['requests','limits'].cpu", description="CPUs of a pod"),
    _column("Memory", ".spec.resources['limits','requests'].memory", description="Memory of a pod"),
    _column("GPU", ".spec.resources.limits['nvidia\\.com/gpu','amd\\.com/gpu']", description="GPUs of a pod"),
    _column("Price", ".spec.pricePerHour", description="Price of one pod for one hour"),
    _column("Age", ".metadata.creationTimestamp", "date", description="Time since creation"),
]
_STORE_COLUMNS: Final = [
    _column("Endpoint", ".spec.endpoint", description="URL of the object store; AWS where it is empty"),
    _column("Secret", ".spec.secretName", description="Secret with its keys"),
    _column("Hub", ".spec.hub.endpoint", description="URL of the Hub; huggingface.co where it is empty"),
    _column("Locations", ".spec.locations", description="Folders that jobs may use"),
    _column("Age", ".metadata.creationTimestamp", "date", description="Time since creation"),
]


def _definition(
    kind: str, plural: str, short_name: str, scope: str, schema: dict[str, Any], columns: list[dict[str, Any]]
) -> dict[str, Any]:
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": schema},
    }
    if "status" in schema["properties"]:
        version["subresources"] = {"status": {}}
        # Kubernetes 1.30 knows the field and leaves it out; from 1.31 on field selectors work.
        version["selectableFields"] = [{"jsonPath": path} for path in _SELECTABLE]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                "categories": ["compression"],
            },
            "scope": scope,
            "versions": [version],
        },
    }


def _object(description: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            **properties,
        },
    }


def definitions() -> dict[str, dict[str, Any]]:
    """Return the CustomResourceDefinitions by file name."""
    job = _object(
        "A model to compress, and the limits that the compressed model must meet.",
        spec=restrict_changes(with_examples(structural(CompressionJobSpec))),
        status=structural(CompressionJobStatus, defaults=False) | {"default": _UNSEEN},
    )
    runtime = _object("An image and hardware that jobs run on.", spec=with_examples(structural(CompressionRuntimeSpec)))
    store = _object(
        "Folders of buckets and claims that the jobs of a namespace may use, and the Secrets that open them.",
        spec=with_examples(structural(CompressionStoreSpec)),
    )
    review = _object(
        "A person's decision about a compressed model.", spec=with_examples(structural(CompressionReviewSpec))
    )
    return {
        f"{REVIEW_PLURAL}.yaml": _definition(
            REVIEW_KIND, REVIEW_PLURAL, REVIEW_SHORT_NAME, "Namespaced", review, _REVIEW_COLUMNS
        ),
        f"{JOB_PLURAL}.yaml": _definition(JOB_KIND, JOB_PLURAL, JOB_SHORT_NAME, "Namespaced", job, _JOB_COLUMNS),
        f"{RUNTIME_PLURAL}.yaml": _definition(
            RUNTIME_KIND, RUNTIME_PLURAL, RUNTIME_SHORT_NAME, "Cluster", runtime, _RUNTIME_COLUMNS
        ),
        f"{STORE_PLURAL}.yaml": _definition(
            STORE_KIND, STORE_PLURAL, STORE_SHORT_NAME, "Namespaced", store, _STORE_COLUMNS
        ),
    }


class _Dumper(yaml.SafeDumper):
    """A dumper without anchors: a repeated part is written out each time."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def main(directories: list[str]) -> None:
    """Write the definitions to each directory."""
    for directory in directories:
        for name, definition in definitions().items():
            text = yaml.dump(definition, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
            header = "# Generated by `make generate` from operator/compressionjob. Do not edit.\n"
            (Path(directory) / name).write_text(header + text)


if __name__ == "__main__":
    main(sys.argv[1:])
