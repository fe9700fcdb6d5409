"""What the operator remembers of each object: the few facts that reconcile needs, and nothing else.

10,000 jobs must fit into memory, so specs and statuses are kept as JSON text and read when they are needed, and
managedFields, pod specs and the like are dropped at the door.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from sys import intern
from typing import Any, Final

from compressionjob.conditions import ACCEPTED, COMPLETE, FAILED, SCHEDULED, SUSPENDED
from compressionjob.cost import parse_price
from compressionjob.errors import InvalidSpec
from compressionjob.group import GROUP, JOB_KIND, JOB_UID_LABEL, PART_LABEL, QUEUE_LABEL
from compressionjob.parts import COMPRESS, RUN, first_part
from compressionjob.runtime import CompressionRuntime, parse_runtime
from compressionjob.schema import parse_duration
from compressionjob.status import TERMINAL_PHASES, CompressionJobStatus

RETRIES_BEFORE: Final = "compression-operator.io/retries-before"
"""Annotation of a child Job: tries that failed before it was created, which its own count does not know."""
RUNTIME_ANNOTATION: Final = f"{GROUP}/runtime"
PRICE_ANNOTATION: Final = f"{GROUP}/price-per-hour"
"""Annotations of child Jobs and pods: where they run, and the price for which they do, whatever it becomes later."""
DEADLINE_ANNOTATION: Final = f"{GROUP}/deadline-seconds"
"""Annotation of a child Job with a budget: what spec.deadline leaves it, since activeDeadlineSeconds is less."""
NO_DEADLINE: Final = "none"
RUNNER_CONTAINER: Final = "runner"

Raw = Mapping[str, Any]
NotificationKey = tuple[str, str, str]
"""Receiver, event and time of a notification."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A CompressionJob.

    ``since`` is when it came to stand as it stands: when a condition changed last. ``receivers`` are those that it
    chose, ``unsent`` the notifications that none has taken yet.
    """

    uid: str
    namespace: str
    name: str
    version: int
    generation: int
    created: str
    deleting: bool
    queue: str
    runtime: str
    measuring_runtime: str
    part: str
    retries: int
    suspend: bool
    ttl: float | None
    budget: float | None
    receivers: tuple[str, ...]
    unsent: tuple[NotificationKey, ...]
    phase: str
    reason: str
    since: str
    spec_json: bytes
    status_json: bytes

    @property
    def ended(self) -> bool:
        """Whether the job has succeeded or failed for good."""
        return self.phase in TERMINAL_PHASES

    @property
    def present_runtime(self) -> str:
        """The runtime of the present part."""
        return self.runtime if self.part in (RUN, COMPRESS) else self.measuring_runtime

    @property
    def first_part(self) -> str:
        """The part that the job begins with."""
        return first_part(self.runtime, self.measuring_runtime)

    def status(self) -> CompressionJobStatus:
        """The status as last seen or written."""
        return CompressionJobStatus.model_validate_json(self.status_json)

    def spec(self) -> dict[str, Any]:
        """The spec as its author wrote it."""
        spec: dict[str, Any] = json.loads(self.spec_json)
        return spec

    def rewritten(self, metadata: Raw, status: Raw) -> "JobRecord":
        """The job with another status, in the version of ``metadata``."""
        phase = str(status.get("phase") or "Pending")
        return replace(
            self,
            version=_version(metadata),
            part=intern(str(status.get("part") or self.first_part)),
            unsent=_unsent(status),
            phase=intern(phase),
            reason=intern(_reason(status, phase)),
            since=_since(status) or self.created,
            spec_json=b"" if phase in TERMINAL_PHASES else self.spec_json,
            status_json=_json(status),
        )

    @classmethod
    def of(cls, raw: Raw) -> "JobRecord":
        """Trim a CompressionJob."""
        metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
        phase = str(status.get("phase") or "Pending")
        runtime = str(spec.get("runtime", "cpu"))
        measuring = str((spec.get("sla") or {}).get("runtime") or runtime)
        return cls(
            uid=metadata["uid"],
            namespace=intern(metadata["namespace"]),
            name=metadata["name"],
            version=_version(metadata),
            generation=int(metadata.get("generation") or 0),
            created=metadata.get("creationTimestamp") or "",
            deleting="deletionTimestamp" in metadata,
            queue=intern(str((metadata.get("labels") or {}).get(QUEUE_LABEL, ""))),
            runtime=intern(runtime),
            measuring_runtime=intern(measuring),
            part=intern(str(status.get("part") or first_part(runtime, measuring))),
            retries=int(spec.get("retries", 3)),
            suspend=bool(spec.get("suspend", False)),
            ttl=_seconds(spec.get("ttl")),
            budget=_amount(spec.get("budget")),
            receivers=tuple(intern(str(name)) for name in spec.get("notifications") or ()),
            unsent=_unsent(status),
            phase=intern(phase),
            reason=intern(_reason(status, phase)),
            since=_since(status) or metadata.get("creationTimestamp") or "",
            # An ended job needs its spec no more: nothing will be built from it.
            spec_json=b"" if phase in TERMINAL_PHASES else _json(spec),
            status_json=_json(status),
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """A condition of a Job or a pod."""

    reason: str
    message: str
    time: str = ""


@dataclass(frozen=True, slots=True)
class ChildRecord:
    """The batch/v1 Job that works for a CompressionJob. ``conditions`` holds those that are True, by type.

    ``clock`` is its activeDeadlineSeconds, ``deadline`` what spec.deadline leaves it: with a budget they differ.
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
    price: float | None
    retries_before: int
    active: int
    failed: int
    start_time: str
    part: str
    conditions: Mapping[str, Mark]

    @classmethod
    def of(cls, raw: Raw) -> "ChildRecord":
        """Trim a batch/v1 Job."""
        metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
        owner = _controller(metadata)
        annotations = metadata.get("annotations") or {}
        return cls(
            uid=metadata["uid"],
            namespace=intern(metadata["namespace"]),
            name=metadata["name"],
            version=_version(metadata),
            job_uid=_job_uid(metadata),
            owner=str(owner.get("uid", "")),
            owner_kind=intern(str(owner.get("kind", ""))),
            created=metadata.get("creationTimestamp") or "",
            deleting="deletionTimestamp" in metadata,
            suspended=bool(spec.get("suspend", False)),
            clock=spec.get("activeDeadlineSeconds"),
            deadline=_deadline(annotations, spec),
            price=_amount(annotations.get(PRICE_ANNOTATION)),
            retries_before=int(annotations.get(RETRIES_BEFORE, 0)),
            active=int(status.get("active") or 0),
            failed=int(status.get("failed") or 0),
            start_time=status.get("startTime") or "",
            part=intern(str((metadata.get("labels") or {}).get(PART_LABEL, RUN))),
            conditions=_true_conditions(status),
        )

    def belongs_to(self, job: JobRecord) -> bool:
        """Whether this CompressionJob controls it: a label alone could be anybody's."""
        return self.owner_kind == JOB_KIND and self.owner == job.uid and self.namespace == job.namespace


@dataclass(frozen=True, slots=True)
class Termination:
    """How the runner's container ended."""

    exit_code: int
    reason: str
    message: str
    finished: str


@dataclass(frozen=True, slots=True)
class PodRecord:
    """A pod of a child Job. ``started`` is when its runner's container did, "" before."""

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
    scheduled: bool
    disrupted: Mark | None
    waiting: Mark | None
    running: bool
    started: str
    terminated: Termination | None
    part: str
    runtime: str
    price: float | None

    @property
    def over(self) -> bool:
        """Whether the pod has ended."""
        return self.phase in ("Succeeded", "Failed")

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
            version=_version(metadata),
            job_uid=_job_uid(metadata),
            owner=str(_controller(metadata).get("uid", "")),
            created=metadata.get("creationTimestamp") or "",
            deleting="deletionTimestamp" in metadata,
            phase=intern(str(status.get("phase") or "Pending")),
            ip=status.get("podIP") or "",
            reason=status.get("reason") or "",
            message=status.get("message") or "",
            unschedulable=_mark(scheduled) if scheduled.get("status") == "False" else None,
            scheduled=scheduled.get("status") == "True",
            disrupted=_mark(disruption) if disruption.get("status") == "True" else None,
            waiting=_mark(state["waiting"]) if "waiting" in state else None,
            running="running" in state,
            started=_started(state),
            terminated=_termination(state["terminated"]) if "terminated" in state else None,
            part=intern(str((metadata.get("labels") or {}).get(PART_LABEL, "Run"))),
            runtime=intern(str(annotations.get(RUNTIME_ANNOTATION, ""))),
            price=_amount(annotations.get(PRICE_ANNOTATION)),
        )


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    """A CompressionReview."""

    uid: str
    namespace: str
    name: str
    version: int
    job: str
    created: str
    decision: str
    reason: str
    reviewer: str
    digest: str

    @classmethod
    def of(cls, raw: Raw) -> "ReviewRecord":
        """Trim a CompressionReview, which the API server has validated."""
        metadata, spec = raw["metadata"], raw["spec"]
        return cls(
            uid=metadata["uid"],
            namespace=intern(metadata["namespace"]),
            name=metadata["name"],
            version=_version(metadata),
            job=str(spec.get("job", "")),
            created=metadata.get("creationTimestamp") or "",
            decision=intern(str(spec.get("decision", ""))),
            reason=str(spec.get("reason", "")),
            reviewer=intern(str(spec.get("reviewer", ""))),
            digest=str(spec.get("digest") or ""),
        )


@dataclass(frozen=True, slots=True)
class RuntimeRecord:
    """A CompressionRuntime, read once: either the runtime or what is wrong with it."""

    uid: str
    name: str
    version: int
    runtime: CompressionRuntime | None
    problem: str = ""

    @classmethod
    def of(cls, raw: Raw) -> "RuntimeRecord":
        """Read a CompressionRuntime."""
        metadata = raw["metadata"]
        uid, name, version = metadata["uid"], metadata["name"], _version(metadata)
        try:
            return cls(uid, name, version, parse_runtime(dict(raw)))
        except InvalidSpec as error:
            return cls(uid, name, version, None, str(error))


def parse_time(text: str) -> datetime:
    """The time in a Kubernetes timestamp."""
    return datetime.fromisoformat(text)


def _version(metadata: Raw) -> int:
    # Versions of one object can be compared as integers: KEP-5504 makes official what every store has always done.
    return int(metadata.get("resourceVersion") or 0)


def _job_uid(metadata: Raw) -> str:
    return str((metadata.get("labels") or {}).get(JOB_UID_LABEL, ""))


def _controller(metadata: Raw) -> Raw:
    return next((ref for ref in metadata.get("ownerReferences") or () if ref.get("controller")), {})


def _json(value: Raw) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=dict).encode()


def _seconds(text: object) -> float | None:
    try:
        return parse_duration(text) if isinstance(text, str) else None
    except ValueError:
        return None  # validation says it, with the field's name


def _amount(text: object) -> float | None:
    try:
        return parse_price(text) if isinstance(text, str) else None
    except ValueError:
        return None  # of a spec validation says it; of an annotation nobody but us should have written it


def _deadline(annotations: Raw, spec: Raw) -> int | None:
    seconds: int | None = spec.get("activeDeadlineSeconds")
    text = str(annotations.get(DEADLINE_ANNOTATION, seconds))
    return int(text) if text.isdecimal() else None


def _reason(status: Raw, phase: str) -> str:
    """The reason that explains the phase best: one of the constants of compressionjob.conditions."""
    conditions = {item["type"]: item for item in status.get("conditions") or ()}
    for kind in (COMPLETE, FAILED, SUSPENDED):
        if kind in conditions and conditions[kind].get("status") == "True":
            return str(conditions[kind].get("reason", ""))
    if conditions.get(ACCEPTED, {}).get("status") == "False":
        return str(conditions[ACCEPTED].get("reason", ""))
    return str(conditions.get(SCHEDULED, {}).get("reason", "")) if phase == "Pending" else ""


def _since(status: Raw) -> str:
    # Timestamps of one form can be compared as text.
    return max((item.get("lastTransitionTime") or "" for item in status.get("conditions") or ()), default="")


def _unsent(status: Raw) -> tuple[NotificationKey, ...]:
    return tuple(
        (intern(str(item.get("receiver", ""))), intern(str(item.get("event", ""))), str(item.get("time", "")))
        for item in status.get("notifications") or ()
        if not item.get("result")
    )


def _mark(raw: Raw) -> Mark:
    return Mark(str(raw.get("reason", "")), str(raw.get("message", "")), str(raw.get("lastTransitionTime", "")))


def _true_conditions(status: Raw) -> Mapping[str, Mark]:
    return {item["type"]: _mark(item) for item in status.get("conditions") or () if item.get("status") == "True"}


def _runner_state(status: Raw) -> Raw:
    for container in status.get("containerStatuses") or ():
        if container.get("name") == RUNNER_CONTAINER:
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
