"""The record of a CompressionReview."""

from dataclasses import dataclass
from sys import intern

from compression_operator.records.reading import Raw, version


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    """A CompressionReview. ``job_uid`` and ``digest`` are "" in reviews that are older than these required fields."""

    uid: str
    namespace: str
    name: str
    version: int
    job: str
    job_uid: str
    created: str
    decision: str
    reason: str
    reviewer: str
    digest: str

    @classmethod
    def of(cls, raw: Raw) -> "ReviewRecord":
        """Build the record of a CompressionReview, which the API server has validated."""
        metadata, spec = raw["metadata"], raw["spec"]
        return cls(
            uid=metadata["uid"],
            namespace=intern(metadata["namespace"]),
            name=metadata["name"],
            version=version(metadata),
            job=str(spec.get("job", "")),
            job_uid=str(spec.get("jobUID") or ""),
            created=metadata.get("creationTimestamp") or "",
            decision=intern(str(spec.get("decision", ""))),
            reason=str(spec.get("reason", "")),
            reviewer=intern(str(spec.get("reviewer", ""))),
            digest=str(spec.get("digest") or ""),
        )
