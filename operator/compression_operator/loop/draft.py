"""A plan in the making: policies write into it, and it keeps the promises of a status.

An end is the end, a verdict is given once, and a status that did not change is not written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from compression_operator.cache.observed import Observed
from compression_operator.loop import readiness, steps
from compression_operator.loop.job_events import news
from compression_operator.loop.plan import Plan
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

_WHILE_IT_LASTS: Final[tuple[ConditionType, ...]] = (conditions.SUSPENDED, conditions.DEADLINE_AT_RISK)
"""Conditions of a job that has not ended."""

ConditionStatus = Literal["True", "False", "Unknown"]


@dataclass(frozen=True)
class Accepted:
    """A job that can work, with the runtime that its present part will work on, and the stores that it names."""

    spec: CompressionJobSpec
    runtime: CompressionRuntimeSpec
    stores: Mapping[str, ResolvedStore]


class Draft:
    """The plan for one job; ``observed`` and ``now`` are what policies look at."""

    def __init__(self, observed: Observed, now: datetime) -> None:
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
        """The child of the present part, for policies that come after its creation."""
        if self.observed.child is None:
            raise ValueError(f"{self.observed.job.name} has no child yet")
        return self.observed.child

    @property
    def accepted(self) -> Accepted:
        """The job's spec and runtime, for policies that come after its acceptance."""
        if self._accepted is None:
            raise ValueError(f"{self.observed.job.name} is not accepted yet")
        return self._accepted

    def accept(self, accepted: Accepted) -> None:
        """Note that the job can work."""
        self._accepted = accepted

    @property
    def started(self) -> bool:
        """Whether a pod of this job has ever run."""
        return bool(self.before.start_time or self._fields.get("start_time"))

    @property
    def notifications(self) -> list[Notification]:
        """What receivers are told, as it stands now."""
        found: list[Notification] = self._fields.get("notifications", self.before.notifications)
        return found

    def condition(self, kind: str) -> Condition | None:
        """A condition as it stands now."""
        return self._conditions.get(kind)

    def set_condition(self, kind: ConditionType, status: ConditionStatus, reason: str, message: str = "") -> None:
        """State a condition; the transition time moves only when ``status`` changes."""
        old = self._conditions.get(kind)
        since = old.last_transition_time if old is not None and old.status == status else timestamp(self.now)
        # Nothing here comes from outside: constants, and texts that are cut to their length.
        self._conditions[kind] = Condition.model_construct(
            type=kind,
            status=status,
            reason=reason,
            message=message[:MAX_CONDITION_MESSAGE],
            last_transition_time=since,
            observed_generation=self.observed.job.generation,
        )

    def set(self, **fields: Any) -> None:
        """Change fields of the status, by their Python names."""
        self._fields.update(fields)

    def reach(self, percent: int) -> None:
        """State how far the job has come."""
        self.set(progress=percent, progress_text=f"{percent}%")

    @property
    def steps(self) -> list[RunStep]:
        """The steps of the run, as they stand now."""
        found: list[RunStep] = self._fields.get("steps", self.before.steps)
        return found

    def accompany(self, **fields: Any) -> None:
        """Change fields that move all the time: written when something else is, and never for their own sake."""
        self._companions.update(fields)

    @property
    def usage(self) -> Usage:
        """What the job's pods have used, as far as this plan knows."""
        known = self._fields.get("usage") or self._companions.get("usage") or self.before.usage
        return known if isinstance(known, Usage) else Usage()

    @property
    def active_time(self) -> ActiveTime:
        """How long the job's Jobs were active, as far as this plan knows."""
        known: ActiveTime | None = self._fields.get("active_time", self.before.active_time)
        return known or ActiveTime()

    @property
    def interruptions(self) -> Interruptions:
        """Pods that the job lost, as far as this plan knows."""
        known: Interruptions | None = self._fields.get("interruptions", self.before.interruptions)
        return known or Interruptions()

    def set_phase(self, phase: Phase, message: str) -> None:
        """State the phase of a job that goes on. What a pod is doing is said of a pod that runs, and of no other."""
        self.set(phase=phase, message=message[:MAX_MESSAGE])
        if phase != "Running":
            self.set(stage="")

    def finish(self, phase: Literal["Succeeded", "Failed"], reason: str, message: str) -> None:
        """End the job for good, and look again when its ttl is over: the write of this end tells nobody."""
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
            self.look_again(self.observed.job.ttl)
        state: RetentionStatus | None = self._fields.get("retention", self.before.retention)
        for _, lifetime in state.pending() if state is not None else ():
            self.look_again(lifetime)

    def _conclude_conditions(self, reason: str) -> None:
        """Leave no condition that speaks of something that goes on."""
        for kind in _WHILE_IT_LASTS:
            held = self._conditions.get(kind)
            if held is not None and held.status != "False":
                self.set_condition(kind, "False", reason, "the job has ended")
        placed, judged = self._conditions.get(conditions.SCHEDULED), self._conditions.get(conditions.SLA_SATISFIED)
        if self.usage.pods or self._ran:
            self.set_condition(conditions.SCHEDULED, "True", conditions.POD_SCHEDULED, "its last pod had a node")
        elif placed is not None and placed.status == "False":
            text = f"the job ended without a pod; the last that was known: {placed.reason}: {placed.message}"
            self.set_condition(conditions.SCHEDULED, "False", conditions.JOB_ENDED, text)
        if judged is not None and judged.reason == conditions.NO_VERDICT_YET:
            self.set_condition(conditions.SLA_SATISFIED, "Unknown", conditions.NO_VERDICT, "the job ended without one")

    @property
    def _ran(self) -> bool:
        return any(pod.over and pod.terminated is not None for pod in self.observed.pods)

    def note(self, kind: EventType, reason: str, text: str, *, cause: str = "") -> None:
        """Tell it in an Event; ``cause`` is why a try failed."""
        self._notes.append(Note(kind, reason, text if len(text) <= MAX_NOTE else text[: MAX_NOTE - 3] + "...", cause))

    def patch_child(self, spec: dict[str, Any], annotations: dict[str, str | None] | None = None) -> None:
        """Change fields of the child Job's spec, and annotations of it; what was asked for before stays.

        None removes a field or an annotation.
        """
        patch = self._patch_child or {"spec": {}}
        if annotations:
            known = patch.get("metadata", {}).get("annotations", {})
            patch |= {"metadata": {"annotations": known | annotations}}
        self._patch_child = patch | {"spec": patch["spec"] | spec}

    def set_queued(self, *, wanted: bool) -> None:
        """Let the child's queue start it, or take it back and not start it again."""
        self._queued = wanted

    def delete_job(self) -> None:
        """Delete the CompressionJob and everything that it owns."""
        self._delete = True

    def look_again(self, seconds: float) -> None:
        """Ask for another look in ``seconds`` at the latest."""
        seconds = max(0.0, seconds)
        self._requeue_after = seconds if self._requeue_after is None else min(seconds, self._requeue_after)

    def plan(self) -> Plan:
        """The finished plan; its status is None when nothing in it changed."""
        after = self.before.model_copy(update=self._fields | {"observed_generation": self.observed.job.generation})
        known = {item.type: (item.status, item.reason) for item in self._conditions.values()}
        reason = conditions.reason_of(after.phase, known)
        after = after.model_copy(
            update={"conditions": self._all_conditions(after.model_copy(update={"reason": reason}))}
        )
        job, receivers = self.observed.job, self.observed.receivers
        told = news(self.before, after, chosen=job.receivers, subscriptions=receivers, time=timestamp(self.now))
        after = after.model_copy(update={"notifications": told})
        changed = after != self.before
        if changed:
            # A CRD that is older drops the reason: it is no reason to write.
            companions = {key: it for key, it in self._companions.items() if key not in self._fields}
            after = after.model_copy(update=companions | {"reason": reason})
        return Plan(
            patch_child=self._patch_child,
            queued=self._queued,
            status=status_json(after) if changed else None,
            events=tuple(self._notes),
            delete=self._delete,
            requeue_after=self._requeue_after,
        )

    def _all_conditions(self, after: CompressionJobStatus) -> list[Condition]:
        """Return the conditions as set, and those that follow from the status; each keeps its place in the list."""
        derived = {item.type: item for item in readiness.readiness(after, self._conditions, timestamp(self.now))}
        known = {kind: derived.get(kind, item) for kind, item in self._conditions.items()}
        return [
            item
            for kind, item in (known | derived).items()
            if kind in derived or kind not in conditions.FOR_OTHER_TOOLS
        ]


def status_json(status: CompressionJobStatus) -> dict[str, Any]:
    """A status as it is written: without what was never set."""
    return {key: value for key, value in status.to_json().items() if value not in ("", [], None)}


def timestamp(time: datetime) -> str:
    """A time as Kubernetes writes it, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
