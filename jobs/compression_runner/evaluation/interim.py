"""Look at the objectives during a measurement: decided or not, how intervals narrow, what would decide the rest."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from compression_runner.evaluation.machine.noise import QUIET_NODE, Noise
from compression_runner.evaluation.speed.latency import LATENCY_SHARE
from compression_runner.evaluation.speed.sizing import MARGIN, MAX_QUERIES, NEARLY_ALL
from compression_runner.evaluation.statistics.alpha_spending import LOOKS
from compressionjob.estimate import Estimate, unbounded
from compressionjob.field_types import format_duration
from compressionjob.objectives import Sla
from compressionjob.report.objective_looks import Look, ObjectiveLooks
from compressionjob.serving import SERVING_NAMES
from compressionjob.sla_objectives import COST, LATENCY, SPEEDUP, THROUGHPUT, Objective, objectives_of
from compressionjob.verdict import MAX_REASON, LimitVerdict, verdict_on

Counts = Literal["samples", "queries", "blocks", "processes", "requests", "documents"]
ON_THE_LIMIT: Final = 30.0
"""The measured value lies on the limit if the interval reaches this many times as far as the limit."""
SERVING_TIME: Final = 0.8
"""Share of the time limit for served requests, if the job has a serving engine."""
SHARES_OF_TIME: Final[Mapping[Counts, float]] = {
    "queries": LATENCY_SHARE * MARGIN,
    "blocks": 1.0,
    "requests": SERVING_TIME * MARGIN,
}
"""Share of spec.benchmark.timeLimit that each kind of measurement gets."""

POSITIVE: Final = frozenset({LATENCY, SPEEDUP, THROUGHPUT, COST}) | SERVING_NAMES
NO_END: Final = 0.01
"""An interval end below this share of the value, or above its inverse, counts as unbounded: other processes may have
taken all of the time, or there were too few measurements."""
SLOWLY: Final = 0.4
"""If an interval narrows by less than this power of the factor that chance predicts, noise keeps it wide."""


@dataclass
class _History:
    """The looks at one objective; `began` is the time at which its measurement began."""

    counts: Counts
    began: float
    planned: int
    looks: list[Look] = field(default_factory=list)
    estimate: Estimate | None = None


class Interim:
    """Records each look at the objectives of an SLA; models are measured with this number of `threads`."""

    def __init__(self, limits: Sla, threads: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._threads = threads
        self._objectives = {objective.name: objective for objective in objectives_of(limits)}
        self._clock = clock
        self._start = clock()
        self._histories: dict[str, _History] = {}

    def limits(self, *names: str) -> bool:
        """Return whether the SLA limits one of these figures."""
        return any(name in self._objectives for name in names)

    def decided(
        self,
        estimates: Mapping[str, Estimate | None],
        counts: Counts,
        count: int,
        began: float | None = None,
        planned: int = LOOKS,
    ) -> bool:
        """Record a look at estimates from `count` measurements, and return whether all that have limits are decided.

        An estimate is None while it cannot be computed. `began` is the clock's time at which their measurement began;
        `planned` is the number of looks among which the confidence is divided; 0 if an interval comes from tests that
        each have looks of their own, so that it does not narrow with time as others do.
        """
        start = self._start if began is None else began
        verdicts = [
            self._look(self._objectives[name], estimate, count, _History(counts, start, planned))
            for name, estimate in estimates.items()
            if name in self._objectives
        ]
        return "Inconclusive" not in verdicts

    def now(self) -> float:
        """Return the clock's time."""
        return self._clock()

    def report(self) -> list[ObjectiveLooks]:
        """Return the looks at each objective, in the order of the SLA."""
        return [self._history(name, self._histories[name]) for name in self._objectives if name in self._histories]

    def explained(self, estimates: Mapping[str, Estimate], noise: Noise | None) -> dict[str, Estimate]:
        """Return the estimates; the reason of an undecided one says what would decide it."""
        return {name: self._explained(name, estimate, noise) for name, estimate in estimates.items()}

    def _look(self, objective: Objective, estimate: Estimate | None, count: int, new: _History) -> LimitVerdict:
        if estimate is None:
            return "Inconclusive"
        verdict = verdict_on(objective, estimate)
        history = self._histories.setdefault(objective.name, new)
        history.estimate = estimate
        look = Look(
            seconds=round(self._clock() - self._start, 3),
            count=count,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            verdict=verdict,
        )
        history.looks.append(look)
        return verdict

    def _history(self, name: str, history: _History) -> ObjectiveLooks:
        reach = _reach(self._objectives[name], history.estimate) if history.estimate else None
        return ObjectiveLooks(
            objective=name,
            counts=history.counts,
            began=round(history.began - self._start, 3),
            planned=history.planned,
            looks=history.looks,
            resolution=reach,
            seconds_for_half=None if reach is None or not history.planned else round(4.0 * self._spent(history), 1),
        )

    def _spent(self, history: _History) -> float:
        return history.looks[-1].seconds - (history.began - self._start)

    def _explained(self, name: str, estimate: Estimate, noise: Noise | None) -> Estimate:
        objective, history = self._objectives.get(name), self._histories.get(name)
        if objective is None or history is None or verdict_on(objective, estimate) != "Inconclusive":
            return estimate
        reach = _reach(objective, estimate)
        disturbed = noise is not None and noise.disturbed
        quiet = noise.quiet_device if noise else ""
        if reach is None:
            longer = (
                ""
                if estimate.reason or history.counts not in ("queries", "requests")
                else "a longer time limit may decide"
            )
            return _with_reason(estimate, f"{quiet} may decide" if disturbed else longer)
        distance = abs(estimate.value - objective.limit)
        # Both are 0 for a perfect score if the limit requires one.
        if reach >= ON_THE_LIMIT * distance:
            if disturbed and objective.name in POSITIVE and reach > estimate.value:
                return _with_reason(estimate, f"{quiet} may decide")
            return _with_reason(estimate, "the measured value lies on the limit: another limit would decide")
        if not history.planned:
            return _with_reason(estimate, f"{quiet} may decide" if disturbed else "a longer time limit may decide")
        return self._more(objective, estimate, history, (reach / distance) ** 2 - 1.0, noise)

    def _more(
        self, objective: Objective, estimate: Estimate, history: _History, share: float, noise: Noise | None
    ) -> Estimate:
        """Return the estimate with what would decide it: `share` times as many measurements again."""
        count = history.looks[-1].count
        if history.counts == "samples":
            samples = int(_rounded(count * share))
            return _with_reason(estimate, f"about {samples:g} more evaluation samples would decide", samples=samples)
        if history.counts == "documents":
            questions = int(_rounded(count * share))
            return _with_reason(estimate, f"about {questions:g} more questions would decide")
        if history.counts == "processes":
            most = f"{count} processes are the most that are started"
            return _with_reason(estimate, f"{most}: a limit further from the measured value would decide")
        # At least a third of the time spent: the remaining distance may be chance.
        seconds = _rounded(max(share, 1 / 3) * self._spent(history))
        if noise and noise.disturbed and _stays_wide(objective, history.looks):
            # The time that other processes may have taken does not average out.
            on_cpus = self._threads > 1 and noise.quiet_device == QUIET_NODE
            fewer = "; neighbours disturb spec.benchmark.threads 1 the least" if on_cpus else ""
            return _with_reason(estimate, f"{noise.quiet_device} would decide, and more time would not{fewer}")
        quiet = f"{noise.quiet_device}, or " if noise and noise.disturbed else ""
        if history.counts == "queries" and count >= NEARLY_ALL * MAX_QUERIES:
            return _with_reason(estimate, f"{quiet}more queries than the {MAX_QUERIES:,} of a run would decide")
        longer = f"{quiet}about {format_duration(seconds)} more of measuring would decide"
        return _with_reason(estimate, longer, seconds=round(seconds / SHARES_OF_TIME[history.counts]))


def _reach(objective: Objective, estimate: Estimate) -> float | None:
    """Return how far the interval reaches from the measured value towards the limit; None if it is unbounded there."""
    above = estimate.value <= objective.limit
    if above and unbounded(estimate.high, objective.unit):
        return None
    if objective.name in POSITIVE:
        near, far = (estimate.value, estimate.high) if above else (estimate.low, estimate.value)
        if near < NO_END * far:
            return None
    return (estimate.high - estimate.value) if above else (estimate.value - estimate.low)


def _stays_wide(objective: Objective, looks: Sequence[Look]) -> bool:
    """Return whether an interval narrows far more slowly than with the square root of the count."""
    first, last = looks[0], looks[-1]
    before, after = (
        _reach(objective, Estimate(value=last.value, low=min(look.low, last.value), high=max(look.high, last.value)))
        for look in (first, last)
    )
    if len(looks) < 2 or before is None or after is None:
        return False
    expected: float = before * math.sqrt(first.count / last.count) ** SLOWLY
    return after > expected


def _with_reason(
    estimate: Estimate, remedy: str, *, seconds: float | None = None, samples: int | None = None
) -> Estimate:
    # The remedy is never cut off: the objective's reason has a limited length.
    room = max(0, MAX_REASON - len(remedy) - 2) if remedy else MAX_REASON
    reason = "; ".join(text for text in (estimate.reason[:room], remedy) if text)
    return estimate.model_copy(update={"reason": reason, "more_seconds": seconds, "more_samples": samples})


def _rounded(value: float) -> float:
    """Round to two significant digits; to whole numbers below 100; at least 1."""
    return max(1, round(value, 2 - len(str(int(value)))) if value >= 100 else round(value))
