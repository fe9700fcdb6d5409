"""The draft of a plan: policies write into it, and it keeps the rules of a status.

A job ends once, a verdict is given once, and a status that has not changed is not written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from compression_operator.cache.observed_job import ObservedJob
from compression_operator.loop import readiness, steps
from compression_operator.loop.job_events import updated_notifications
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.records.child import ChildRecord
from compression_operator.telemetry import event_reasons
from compression_operator.telemetry.notes import MAX_NOTE, EventType, Note
from compressionjob import conditions
from compressionjob.conditions import Condition, ConditionType
from compressionjob.notifications import Notification
from compressionjob.report import RunStep
from compressionjob.retention import RetentionStatus
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import CompressionJobSpec
from compressionjob.status import CompressionJobStatus, Phase
from compressionjob.stores import ResolvedStore
from compressionjob.usage import ActiveTime, Interruptions, Usage

MAX_MESSAGE: Final = 1024
MAX_CONDITION_MESSAGE: Final = 4096

_UNTIL_END: Final[tuple[ConditionType, ...]] = (conditions.SUSPENDED, conditions.DEADLINE_AT_RISK)
"""Conditions of a job that has not ended."""

ConditionStatus = Literal["True", "False", "Unknown"]


@dataclass(frozen=True)
class Accepted:
    """An accepted job: its spec, the runtime of its present part, and the stores that it names."""

    spec: CompressionJobSpec
    runtime: CompressionRuntimeSpec
    stores: Mapping[str, ResolvedStore]


class Draft:
    """The plan for one job; ``observed`` and ``now`` are the input of the policies."""

    def __init__(self, observed: ObservedJob, now: datetime) -> None:
        self.observed = observed
        self.now = now
        self.before = observed.job.status()
        self._fields: dict[str, Any] = {}
        self._companions: dict[str, Any] = {}
        self._conditions = {item.type: item for item in self.before.conditions}
        self._notes: list[Note] = []
        self._requeue_after: float | None = None
        self._patch_child: dict[str, Any] | None = None
        self._delete = False
        self._queued: bool | None = None
        self._accepted: Accepted | None = None

    @property
    def child(self) -> ChildRecord:
        """The child of the present part, for policies that run after its creation."""
        if self.observed.child is None:
            raise ValueError(f"{self.observed.job.name} has no child yet")
        return self.observed.child

    @property
    def accepted(self) -> Accepted:
        """The job's spec and runtime, for policies that run after its acceptance."""
        if self._accepted is None:
            raise ValueError(f"{self.observed.job.name} is not accepted yet")
        return self._accepted

    def accept(self, accepted: Accepted) -> None:
        """Record that the job is accepted."""
        self._accepted = accepted

    @property
    def started(self) -> bool:
        """Whether a pod of this job has ever run."""
        return bool(self.before.start_time or self._fields.get("start_time"))

    @property
    def notifications(self) -> list[Notification]:
        """The notifications of the job, including the changes of this plan."""
        notifications: list[Notification] = self._fields.get("notifications", self.before.notifications)
        return notifications

    def condition(self, kind: str) -> Condition | None:
        """Return a condition, including the changes of this plan."""
        return self._conditions.get(kind)

    def set_condition(self, kind: ConditionType, status: ConditionStatus, reason: str, message: str = "") -> None:
        """Set a condition; the transition time changes only when ``status`` changes."""
        old = self._conditions.get(kind)
        since = old.last_transition_time if old is not None and old.status == status else timestamp(self.now)
        # No validation: all values are constants, or texts that are cut to their length.
        self._conditions[kind] = Condition.model_construct(
            type=kind,
            status=status,
            reason=reason,
            message=message[:MAX_CONDITION_MESSAGE],
            last_transition_time=since,
            observed_generation=self.observed.job.generation,
        )

    def set(self, **fields: Any) -> None:
        """Set fields of the status, by their Python names."""
        self._fields.update(fields)

    def reach(self, percent: int) -> None:
        """Set the progress of the job."""
        self.set(progress=percent, progress_text=f"{percent}%")

    @property
    def steps(self) -> list[RunStep]:
        """The steps of the run, including the changes of this plan."""
        current: list[RunStep] = self._fields.get("steps", self.before.steps)
        return current

    def accompany(self, **fields: Any) -> None:
        """Set fields that change all the time: they are written only together with another change."""
        self._companions.update(fields)

    @property
    def usage(self) -> Usage:
        """The usage of the job's pods, including the changes of this plan."""
        known = self._fields.get("usage") or self._companions.get("usage") or self.before.usage
        return known if isinstance(known, Usage) else Usage()

    @property
    def active_time(self) -> ActiveTime:
        """How long the job's Jobs were active, including the changes of this plan."""
        known: ActiveTime | None = self._fields.get("active_time", self.before.active_time)
        return known or ActiveTime()

    @property
    def interruptions(self) -> Interruptions:
        """Pods that the job lost, including the changes of this plan."""
        known: Interruptions | None = self._fields.get("interruptions", self.before.interruptions)
        return known or Interruptions()

    def set_phase(self, phase: Phase, message: str) -> None:
        """Set the phase of a job that has not ended. Only a running job has a stage."""
        self.set(phase=phase, message=message[:MAX_MESSAGE])
        if phase != "Running":
            self.set(stage="")

    def finish(self, phase: Literal["Succeeded", "Failed"], reason: str, message: str) -> None:
        """End the job, and requeue it for its ttl and lifetimes: the operator's own write triggers no reconcile."""
        succeeded = phase == "Succeeded"
        self.set_condition(conditions.COMPLETE, "True" if succeeded else "False", reason, message)
        self.set_condition(conditions.FAILED, "False" if succeeded else "True", reason, message)
        self._conclude_conditions(reason)
        self.set(phase=phase, message=message[:MAX_MESSAGE], completion_time=timestamp(self.now))
        if not succeeded:
            self.set(steps=steps.failed(self.steps))
        self.set(deadline_time=None, expected_completion_time=None)
        event_reason = event_reasons.COMPLETED if succeeded else event_reasons.FAILED
        self.note("Normal" if succeeded else "Warning", event_reason, f"{reason}: {message}")
        if self.observed.job.ttl is not None:
            self.requeue_after(self.observed.job.ttl)
        state: RetentionStatus | None = self._fields.get("retention", self.before.retention)
        for _, lifetime in state.pending() if state is not None else ():
            self.requeue_after(lifetime)

    def _conclude_conditions(self, reason: str) -> None:
        """Set the conditions that only hold until the end of a job."""
        for kind in _UNTIL_END:
            held = self._conditions.get(kind)
            if held is not None and held.status != "False":
                self.set_condition(kind, "False", reason, "the job has ended")
        placed, judged = self._conditions.get(conditions.SCHEDULED), self._conditions.get(conditions.SLA_SATISFIED)
        if self.usage.pods or self._ran:
            self.set_condition(conditions.SCHEDULED, "True", conditions.POD_SCHEDULED, "its last pod had a node")
        elif placed is not None and placed.status == "False":
            text = f"the job ended without a pod; last known state: {placed.reason}: {placed.message}"
            self.set_condition(conditions.SCHEDULED, "False", conditions.JOB_ENDED, text)
        if judged is not None and judged.reason == conditions.NO_VERDICT_YET:
            self.set_condition(conditions.SLA_SATISFIED, "Unknown", conditions.NO_VERDICT, "the job ended without one")

    @property
    def _ran(self) -> bool:
        return any(pod.over and pod.terminated is not None for pod in self.observed.pods)

    def note(self, kind: EventType, reason: str, text: str, *, cause: str = "") -> None:
        """Add an Event; ``cause`` is the reason of a failed attempt."""
        self._notes.append(Note(kind, reason, text if len(text) <= MAX_NOTE else text[: MAX_NOTE - 3] + "...", cause))

    def patch_child(self, spec: dict[str, Any], annotations: dict[str, str | None] | None = None) -> None:
        """Patch fields and annotations of the child Job, in addition to earlier patches of this plan.

        None removes a field or an annotation.
        """
        patch = self._patch_child or {"spec": {}}
        if annotations:
            known = patch.get("metadata", {}).get("annotations", {})
            patch |= {"metadata": {"annotations": known | annotations}}
        self._patch_child = patch | {"spec": patch["spec"] | spec}

    def set_queued(self, *, wanted: bool) -> None:
        """Let the child's queue start it (``wanted``), or suspend it and not start it again."""
        self._queued = wanted

    def delete_job(self) -> None:
        """Delete the CompressionJob and everything that it owns."""
        self._delete = True

    def requeue_after(self, seconds: float) -> None:
        """Requeue the job in at most ``seconds``."""
        seconds = max(0.0, seconds)
        self._requeue_after = seconds if self._requeue_after is None else min(seconds, self._requeue_after)

    def plan(self) -> ReconcilePlan:
        """Return the finished plan; its status is None when nothing in it changed."""
        after = self.before.model_copy(update=self._fields | {"observed_generation": self.observed.job.generation})
        known = {item.type: (item.status, item.reason) for item in self._conditions.values()}
        reason = conditions.reason_of(after.phase, known)
        after = after.model_copy(
            update={"conditions": self._all_conditions(after.model_copy(update={"reason": reason}))}
        )
        job, receivers = self.observed.job, self.observed.receivers
        notifications = updated_notifications(
            self.before, after, chosen=job.receivers, subscriptions=receivers, time=timestamp(self.now)
        )
        after = after.model_copy(update={"notifications": notifications})
        changed = after != self.before
        if changed:
            # An older CRD drops the reason: a different reason alone must not cause a write.
            companions = {key: it for key, it in self._companions.items() if key not in self._fields}
            after = after.model_copy(update=companions | {"reason": reason})
        return ReconcilePlan(
            patch_child=self._patch_child,
            queued=self._queued,
            status=status_json(after) if changed else None,
            events=tuple(self._notes),
            delete=self._delete,
            requeue_after=self._requeue_after,
        )

    def _all_conditions(self, after: CompressionJobStatus) -> list[Condition]:
        """Return the set conditions and those derived from the status; each keeps its position in the list."""
        derived = {item.type: item for item in readiness.readiness(after, self._conditions, timestamp(self.now))}
        known = {kind: derived.get(kind, item) for kind, item in self._conditions.items()}
        return [
            item
            for kind, item in (known | derived).items()
            if kind in derived or kind not in conditions.FOR_OTHER_TOOLS
        ]


def status_json(status: CompressionJobStatus) -> dict[str, Any]:
    """Return a status as JSON, without fields that were never set."""
    return {key: value for key, value in status.to_json().items() if value not in ("", [], None)}


def timestamp(time: datetime) -> str:
    """Format a time as a Kubernetes timestamp, in seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
