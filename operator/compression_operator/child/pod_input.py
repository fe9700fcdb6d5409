"""The input of a pod: an annotation of the pod, which the kubelet mounts as a file.

So there is no other object that a user could change or lack rights for, and no user text in the environment.
"""

from dataclasses import dataclass
from typing import Any

from compression_operator.child.manifest import pod_manifest_of
from compression_operator.records.job import JobRecord
from compressionjob.pod_input import digest_of, encode
from compressionjob.pod_interface import (
    INPUT_ANNOTATION,
    INPUT_DIGEST_VARIABLE,
    INPUT_FILE,
    INPUT_JOB,
    INPUT_JUDGED,
    INPUT_MOUNT,
    INPUT_REVIEW,
    INPUT_VARIABLE,
    INPUT_VOLUME,
)
from compressionjob.report import JudgedResult
from compressionjob.review import ReviewOutcome


@dataclass(frozen=True, slots=True)
class PodInput:
    """The text of a pod's input, and the parts of its manifest that carry it."""

    text: str

    @classmethod
    def of(cls, job: JobRecord, review: ReviewOutcome | None, judged: JudgedResult | None) -> "PodInput":
        """Return the input of a pod; a publishing pod also gets the review that allows it and the judged result."""
        documents = {INPUT_JOB: pod_manifest_of(job)}
        if review is not None:
            documents[INPUT_REVIEW] = review.to_json()
        if judged is not None:
            documents[INPUT_JUDGED] = judged.to_json()
        return cls(encode(documents))

    @property
    def annotations(self) -> dict[str, str]:
        """The annotation that holds the input."""
        return {INPUT_ANNOTATION: self.text}

    @property
    def environment(self) -> list[dict[str, Any]]:
        """The variables with the path and the digest of the input."""
        return [
            {"name": INPUT_VARIABLE, "value": f"{INPUT_MOUNT}/{INPUT_FILE}"},
            {"name": INPUT_DIGEST_VARIABLE, "value": digest_of(self.text)},
        ]


def input_volume() -> dict[str, Any]:
    """Return the volume that exposes the annotation as a file."""
    item = {"path": INPUT_FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{INPUT_ANNOTATION}']"}}
    return {"name": INPUT_VOLUME, "downwardAPI": {"items": [item]}}


def input_mount() -> dict[str, Any]:
    """Return the mount of that volume."""
    return {"name": INPUT_VOLUME, "mountPath": INPUT_MOUNT, "readOnly": True}
