"""The record of a child Job."""

from collections.abc import Mapping
from dataclasses import dataclass
from sys import intern
from typing import Final

from pydantic import TypeAdapter, ValidationError

from compression_operator.records.annotations import (
    DEADLINE_ANNOTATION,
    PRICE_ANNOTATION,
    RETRIES_BEFORE,
    SLOT_ANNOTATION,
    STORES_ANNOTATION,
    WRITES_TO_ANNOTATION,
)
from compression_operator.records.job import JobRecord
from compression_operator.records.reading import (
    ConditionRecord,
    Raw,
    amount,
    controller,
    job_uid,
    true_conditions,
    version,
)
from compression_operator.records.write_locations import from_annotation
from compressionjob.group import JOB_KIND, JOB_LABEL, PART_LABEL, QUEUE_LABEL
from compressionjob.job_parts import RUN
from compressionjob.stores import StoreConnection

_CONNECTIONS: Final = TypeAdapter(list[StoreConnection])


@dataclass(frozen=True, slots=True)
class ChildRecord:
    """The batch/v1 Job of a CompressionJob. ``conditions`` holds the True ones, by type.

    ``clock`` is its activeDeadlineSeconds, ``deadline`` the rest of spec.deadline: with a budget they differ.
    ``owns_clock``: the operator set the clock, for a deadline or a budget.
    ``slot`` is the kind of measuring slot that its pods need, "" for none. ``stores`` are the stores it uses, as JSON.
    """

    uid: str
    namespace: str
    name: str
    version: int
    job_uid: str
    owner: str
    owner_kind: str
    created: str
    deleting: bool
    suspended: bool
    clock: int | None
    deadline: int | None
    owns_clock: bool
    price: float | None
    retries_before: int
    active: int
    failed: int
    start_time: str
    part: str
    queue: str
    job: str
    write_locations: tuple[str, ...]
    slot: str
    conditions: Mapping[str, ConditionRecord]
    stores: str = ""

    @classmethod
    def of(cls, raw: Raw) -> "ChildRecord":
        """Build the record of a batch/v1 Job."""
        metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
        owner = controller(metadata)
        annotations = metadata.get("annotations") or {}
        return cls(
            uid=metadata["uid"],
            namespace=intern(metadata["namespace"]),
            name=metadata["name"],
            version=version(metadata),
            job_uid=job_uid(metadata),
            owner=str(owner.get("uid", "")),
            owner_kind=intern(str(owner.get("kind", ""))),
            created=metadata.get("creationTimestamp") or "",
            deleting="deletionTimestamp" in metadata,
            suspended=bool(spec.get("suspend", False)),
            clock=spec.get("activeDeadlineSeconds"),
            deadline=_deadline(annotations, spec),
            owns_clock=DEADLINE_ANNOTATION in annotations,
            price=amount(annotations.get(PRICE_ANNOTATION)),
            retries_before=_count(annotations.get(RETRIES_BEFORE)),
            active=int(status.get("active") or 0),
            failed=int(status.get("failed") or 0),
            start_time=status.get("startTime") or "",
            part=intern(str((metadata.get("labels") or {}).get(PART_LABEL, RUN))),
            queue=intern(str((metadata.get("labels") or {}).get(QUEUE_LABEL, ""))),
            job=str((metadata.get("labels") or {}).get(JOB_LABEL, "")),
            write_locations=from_annotation(annotations.get(WRITES_TO_ANNOTATION)),
            slot=intern(str(annotations.get(SLOT_ANNOTATION, ""))),
            conditions=true_conditions(status),
            stores=intern(str(annotations.get(STORES_ANNOTATION, ""))),
        )

    def store_connections(self) -> list[StoreConnection]:
        """Return the stores that it uses; none if the annotation was not written by the operator."""
        try:
            return _CONNECTIONS.validate_json(self.stores) if self.stores else []
        except ValidationError:
            return []

    @property
    def ended(self) -> bool:
        """Whether the Job is complete or has failed."""
        return not self.conditions.keys().isdisjoint(("Complete", "Failed"))

    def belongs_to(self, job: JobRecord) -> bool:
        """Return whether this CompressionJob is its controller: a label alone proves nothing."""
        return self.owner_kind == JOB_KIND and self.owner == job.uid and self.namespace == job.namespace


def _count(text: object) -> int:
    """Return a small number; 0 for text that the operator did not write."""
    digits = str(text)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0


def _deadline(annotations: Raw, spec: Raw) -> int | None:
    seconds: int | None = spec.get("activeDeadlineSeconds")
    text = str(annotations.get(DEADLINE_ANNOTATION, seconds))
    return int(text) if text.isdecimal() else None
