"""The record of a pod of a child Job."""

from dataclasses import dataclass
from sys import intern
from typing import Final

from compression_operator.records.annotations import (
    COMPLETION_INDEX,
    PRICE_ANNOTATION,
    RUNTIME_ANNOTATION,
    SLOT_ANNOTATION,
    WRITES_TO_ANNOTATION,
)
from compression_operator.records.child import ChildRecord
from compression_operator.records.reading import (
    ConditionRecord,
    Raw,
    amount,
    condition_record,
    controller,
    job_uid,
    version,
)
from compression_operator.records.write_locations import from_annotation
from compressionjob.group import JOB_LABEL, PART_LABEL
from compressionjob.pod_interface import CONTAINER

_ROOM: Final = ("Insufficient ", "anti-affinity", "Too many pods")
"""Messages of the scheduler when other pods use the nodes (plugins NodeResourcesFit and InterPodAffinity)."""


@dataclass(frozen=True, slots=True)
class Termination:
    """How the runner's container ended."""

    exit_code: int
    reason: str
    message: str
    finished: str


@dataclass(frozen=True, slots=True)
class PodRecord:
    """A pod of a child Job.

    ``started`` is the start of the runner's container, ``placed`` when the pod got its node, both "" before that.
    ``index`` is its completion index in the Job. ``slot`` is the kind of measuring slot that it needs, "" for none.
    """

    uid: str
    namespace: str
    name: str
    version: int
    job_uid: str
    owner: str
    created: str
    deleting: bool
    phase: str
    ip: str
    reason: str
    message: str
    unschedulable: ConditionRecord | None
    placed: str
    scheduled: bool
    disrupted: ConditionRecord | None
    waiting: ConditionRecord | None
    running: bool
    started: str
    terminated: Termination | None
    part: str
    runtime: str
    price: float | None
    job: str
    index: str
    write_locations: tuple[str, ...]
    slot: str

    @property
    def over(self) -> bool:
        """Whether the pod has ended."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def needs_slot(self) -> bool:
        """Whether it needs a measuring slot and has no node."""
        return bool(self.slot) and self.unschedulable is not None and not self.over and not self.deleting

    @property
    def waits_for_slot(self) -> bool:
        """Whether it can start when other pods end; a missing claim or an unknown node label needs a person."""
        if not self.needs_slot or self.unschedulable is None or self.unschedulable.reason != "Unschedulable":
            return False
        return not self.refusal or any(word in self.refusal for word in _ROOM)

    @property
    def refusal(self) -> str:
        """The scheduler's first sentence about the missing node; the following ones are about preemption."""
        return self.unschedulable.message.partition(". ")[0].rstrip(".") if self.unschedulable is not None else ""

    def belongs_to(self, child: ChildRecord) -> bool:
        """Return whether this Job is its controller: a label alone proves nothing."""
        return self.owner == child.uid and self.namespace == child.namespace

    @classmethod
    def of(cls, raw: Raw) -> "PodRecord":
        """Build the record of a pod."""
        metadata, status = raw["metadata"], raw.get("status") or {}
        conditions = {item["type"]: item for item in status.get("conditions") or ()}
        scheduled: Raw = conditions.get("PodScheduled", {})
        disruption: Raw = conditions.get("DisruptionTarget", {})
        state = _runner_state(status)
        annotations = metadata.get("annotations") or {}
        return cls(
            uid=metadata["uid"],
            namespace=intern(metadata["namespace"]),
            name=metadata["name"],
            version=version(metadata),
            job_uid=job_uid(metadata),
            owner=str(controller(metadata).get("uid", "")),
            created=metadata.get("creationTimestamp") or "",
            deleting="deletionTimestamp" in metadata,
            phase=intern(str(status.get("phase") or "Pending")),
            ip=status.get("podIP") or "",
            reason=status.get("reason") or "",
            message=status.get("message") or "",
            unschedulable=condition_record(scheduled) if scheduled.get("status") == "False" else None,
            placed=_placed(metadata, scheduled),
            scheduled=scheduled.get("status") == "True",
            disrupted=condition_record(disruption) if disruption.get("status") == "True" else None,
            waiting=condition_record(state["waiting"]) if "waiting" in state else None,
            running="running" in state,
            started=_started(state),
            terminated=_termination(state["terminated"]) if "terminated" in state else None,
            part=intern(str((metadata.get("labels") or {}).get(PART_LABEL, "Run"))),
            runtime=intern(str(annotations.get(RUNTIME_ANNOTATION, ""))),
            price=amount(annotations.get(PRICE_ANNOTATION)),
            job=str((metadata.get("labels") or {}).get(JOB_LABEL, "")),
            index=intern(str(annotations.get(COMPLETION_INDEX, "0"))),
            write_locations=from_annotation(annotations.get(WRITES_TO_ANNOTATION)),
            slot=intern(str(annotations.get(SLOT_ANNOTATION, ""))),
        )


def _placed(metadata: Raw, scheduled: Raw) -> str:
    if scheduled.get("status") != "True":
        return ""
    return str(scheduled.get("lastTransitionTime") or metadata.get("creationTimestamp") or "")


def _runner_state(status: Raw) -> Raw:
    for container in status.get("containerStatuses") or ():
        if container.get("name") == CONTAINER:
            state: Raw = container.get("state") or {}
            return state
    return {}


def _started(state: Raw) -> str:
    started = str((state.get("running") or state.get("terminated") or {}).get("startedAt") or "")
    # A container that could not be started has the Unix epoch here, or null.
    return "" if started.startswith("1970-") else started


def _termination(raw: Raw) -> Termination:
    code, reason, message = int(raw.get("exitCode", -1)), str(raw.get("reason", "")), str(raw.get("message", ""))
    return Termination(code, reason, message, str(raw.get("finishedAt") or ""))
