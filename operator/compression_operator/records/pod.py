"""What is kept of a pod of a child Job."""

from dataclasses import dataclass
from sys import intern
from typing import Final

from compression_operator.records.annotations import (
    COMPLETION_INDEX,
    PLACES_ANNOTATION,
    PRICE_ANNOTATION,
    RUNTIME_ANNOTATION,
    SLOT_ANNOTATION,
)
from compression_operator.records.child import ChildRecord
from compression_operator.records.places import from_annotation
from compression_operator.records.reading import Mark, Raw, amount, controller, job_uid, mark, version
from compressionjob.group import JOB_LABEL, PART_LABEL
from compressionjob.pod import CONTAINER

_ROOM: Final = ("Insufficient ", "anti-affinity", "Too many pods")
"""What the scheduler says where other pods are in the way (its plugins NodeResourcesFit and InterPodAffinity)."""


@dataclass(frozen=True, slots=True)
class Termination:
    """How the runner's container ended."""

    exit_code: int
    reason: str
    message: str
    finished: str


@dataclass(frozen=True, slots=True)
class PodRecord:
    """A pod of a child Job. ``started`` is when its runner's container did, ``placed`` when it got its node, "" before.

    ``index`` is its completion index: what it does of the Job's work. ``places`` are where it writes. ``slot`` is the
    kind of measuring slot that it needs, "" for none.
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
    unschedulable: Mark | None
    placed: str
    scheduled: bool
    disrupted: Mark | None
    waiting: Mark | None
    running: bool
    started: str
    terminated: Termination | None
    part: str
    runtime: str
    price: float | None
    job: str
    index: str
    places: tuple[str, ...]
    slot: str

    @property
    def over(self) -> bool:
        """Whether the pod has ended."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def needs_slot(self) -> bool:
        """Whether it needs a measuring slot, and the scheduler found no node."""
        return bool(self.slot) and self.unschedulable is not None and not self.over and not self.deleting

    @property
    def waits_for_slot(self) -> bool:
        """Whether room for it comes when others end: a claim that is missing, or labels of no node, need a person."""
        if not self.needs_slot or self.unschedulable is None or self.unschedulable.reason != "Unschedulable":
            return False
        return not self.refusal or any(word in self.refusal for word in _ROOM)

    @property
    def refusal(self) -> str:
        """Why the scheduler found no node, in its first sentence: those that follow are about preemption."""
        return self.unschedulable.message.partition(". ")[0].rstrip(".") if self.unschedulable is not None else ""

    def belongs_to(self, child: ChildRecord) -> bool:
        """Whether this Job controls it: a label alone could be anybody's, in any namespace."""
        return self.owner == child.uid and self.namespace == child.namespace

    @classmethod
    def of(cls, raw: Raw) -> "PodRecord":
        """Trim a pod."""
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
            unschedulable=mark(scheduled) if scheduled.get("status") == "False" else None,
            placed=_placed(metadata, scheduled),
            scheduled=scheduled.get("status") == "True",
            disrupted=mark(disruption) if disruption.get("status") == "True" else None,
            waiting=mark(state["waiting"]) if "waiting" in state else None,
            running="running" in state,
            started=_started(state),
            terminated=_termination(state["terminated"]) if "terminated" in state else None,
            part=intern(str((metadata.get("labels") or {}).get(PART_LABEL, "Run"))),
            runtime=intern(str(annotations.get(RUNTIME_ANNOTATION, ""))),
            price=amount(annotations.get(PRICE_ANNOTATION)),
            job=str((metadata.get("labels") or {}).get(JOB_LABEL, "")),
            index=intern(str(annotations.get(COMPLETION_INDEX, "0"))),
            places=from_annotation(annotations.get(PLACES_ANNOTATION)),
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
    found = str((state.get("running") or state.get("terminated") or {}).get("startedAt") or "")
    # A container that could not be started has the beginning of Unix time here, or null.
    return "" if found.startswith("1970-") else found


def _termination(raw: Raw) -> Termination:
    code, reason, message = int(raw.get("exitCode", -1)), str(raw.get("reason", "")), str(raw.get("message", ""))
    return Termination(code, reason, message, str(raw.get("finishedAt") or ""))
