"""The verdict: a pure function of the limits and the measured intervals, shared by pod, command line and tests."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from compressionjob.cost import format_cost
from compressionjob.estimate import Estimate, unbounded
from compressionjob.objectives import Sla
from compressionjob.schema import Observed, format_bytes, format_duration, parse_duration, parse_quantity
from compressionjob.trust_limits import DISTURBANCES

LimitVerdict = Literal["Pass", "Fail", "Inconclusive"]
"""The verdict on one limit."""
Verdict = Literal[LimitVerdict, "NoLimits"]
"""The verdict on a result: NoLimits where the job sets none, so that nothing was judged."""
Direction = Literal["at most", "at least"]
Unit = Literal["ratio", "score", "error", "seconds", "bytes", "samples per second", "cost per million samples"]

NO_LIMITS_SENTENCE: Final = "the job sets no limits, so nothing was judged"
NO_LIMITS_WARNING: Final = (
    "spec.sla sets no limits: the result will be published whatever is measured, with the verdict NoLimits; "
    "set at least one, such as spec.sla.quality"
)
"""What is said before a job without limits runs."""

MAX_REASON: Final = 256
MAX_MORE_SECONDS: Final = 31_536_000
"""A year: what would take longer is not proposed."""
MAX_MORE_SAMPLES: Final = 1_000_000_000

_GRAVITY: Final[tuple[LimitVerdict, ...]] = ("Fail", "Inconclusive", "Pass")

QUALITY_DROP: Final = "quality.drop"
QUALITY_SCORE: Final = "quality.score"
QUALITY_INCREASE: Final = "quality.increase"
QUALITY_ERROR: Final = "quality.error"
LATENCY: Final = "latency"
SPEEDUP: Final = "latency.speedup"
THROUGHPUT: Final = "throughput"
SIZE_RATIO: Final = "size.ratio"
SIZE: Final = "size"
MEMORY: Final = "memory"
MEMORY_RATIO: Final = "memory.ratio"
COST: Final = "cost.perMillion"
WORST_GROUP: Final = "fairness.worst"
GAP: Final = "fairness.gap"
GAP_INCREASE: Final = "fairness.gap.increase"
ROBUSTNESS: Final = "robustness"
"""What it is followed by: noise, corruption or attack, and drop or score."""
ATTRIBUTIONS: Final = "attributions.agreement"
FLIPS: Final = "flips"

NAMES: Final = frozenset(
    {
        QUALITY_DROP, QUALITY_SCORE, QUALITY_INCREASE, QUALITY_ERROR, LATENCY, SPEEDUP, THROUGHPUT, SIZE_RATIO, SIZE,
        MEMORY, MEMORY_RATIO, COST, WORST_GROUP, GAP, GAP_INCREASE, ATTRIBUTIONS, FLIPS,
        *(f"{ROBUSTNESS}.{part}.{what}" for part in DISTURBANCES for what in ("drop", "score")),
    }
)  # fmt: skip
"""Every objective that this version knows."""


@dataclass(frozen=True)
class Objective:
    """One limit of an SLA: what is measured, against which number, in which direction."""

    name: str
    limit: float
    direction: Direction
    unit: Unit


class ObjectiveResult(Observed):
    """One limit with what was measured, and its own verdict."""

    name: Annotated[str, Field(max_length=64)] = Field(description="Name of the objective.")
    direction: Direction = Field(default="at most", description="Whether the limit is an upper or a lower one.")
    unit: Annotated[str, Field(max_length=32)] = Field(default="ratio", description="Unit of the numbers.")
    limit: float = Field(description="The limit that the job set.")
    measured: float | None = Field(default=None, description="What was measured; absent when it could not be.")
    low: float | None = Field(default=None, description="Lower end of the interval.")
    high: float | None = Field(default=None, description="Upper end of the interval.")
    verdict: LimitVerdict = Field(description="Verdict on this limit.")
    reason: Annotated[str, Field(max_length=MAX_REASON)] = Field(
        default="", description="Why the measurement does not tell more, where something beside chance is to blame."
    )
    more_seconds: Annotated[float, Field(ge=0, le=MAX_MORE_SECONDS)] | None = Field(
        default=None,
        description="How much longer spec.benchmark.timeLimit must be, about, to decide this limit; absent where more "
        "time would not decide it.",
    )
    more_samples: Annotated[int, Field(ge=0, le=MAX_MORE_SAMPLES)] | None = Field(
        default=None,
        description="How many more evaluation samples would decide this limit, about; absent where more samples "
        "would not decide it.",
    )

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return what is written: without what would decide, where that is not known."""
        absent = {"more_seconds", "moreSeconds", "more_samples", "moreSamples"}
        return {key: value for key, value in dump(self).items() if key not in absent or value is not None}

    @property
    def is_known(self) -> bool:
        """Whether this version knows the objective and its unit."""
        return self.name in NAMES and self.unit in get_args(Unit)

    def write(self, value: float) -> str:
        """A figure of this objective for people, in the unit in which the limit was written."""
        if self.unit == "bytes" and not unbounded(value, self.unit):
            return format_bytes(value, like=self.limit)
        return write_figure(value, self.unit)

    def describe(self) -> str:
        """The objective in a sentence for people."""
        because = f" ({self.reason})" if self.reason else ""
        if self.measured is None:
            limit = self.write(self.limit)
            return f"{self.name} was not measured; it must be {self.direction} {limit}{because}"
        text = f"{self.name} is {self.write(self.measured)}"
        if self.low is not None and self.high is not None and self.low != self.high:
            text += f" ({self.write(self.low)} to {self.write(self.high)})"
        return f"{text}, limit {self.direction} {self.write(self.limit)}{because}"


@dataclass(frozen=True)
class Judgement:
    """The verdict over all objectives. ``confidence`` holds for all of them together."""

    verdict: Verdict
    confidence: float
    objectives: tuple[ObjectiveResult, ...]

    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.verdict == "NoLimits":
            return NO_LIMITS_SENTENCE
        if self.verdict == "Pass":
            return f"all {len(self.objectives)} objectives hold at confidence {self.confidence:g}"
        deciding = [item.describe() for item in self.objectives if item.verdict == self.verdict]
        word = "violated" if self.verdict == "Fail" else "undecided"
        return f"{word}: {'; '.join(deciding)}"


def objectives_of(sla: Sla) -> list[Objective]:
    """The limits of an SLA, one by one, in the order of the report."""
    return [*_quality_objectives(sla), *_speed_objectives(sla), *_size_objectives(sla), *_trust_objectives(sla)]


def _quality_objectives(sla: Sla) -> Iterator[Objective]:
    if sla.quality:
        yield from _limit(QUALITY_DROP, sla.quality.max_drop, "at most", "score")
        yield from _limit(QUALITY_SCORE, sla.quality.min, "at least", "score")
        yield from _limit(QUALITY_INCREASE, sla.quality.max_increase, "at most", "ratio")
        yield from _limit(QUALITY_ERROR, sla.quality.max, "at most", "error")


def _speed_objectives(sla: Sla) -> Iterator[Objective]:
    if sla.latency:
        longest = None if sla.latency.max is None else parse_duration(sla.latency.max)
        yield from _limit(LATENCY, longest, "at most", "seconds")
        yield from _limit(SPEEDUP, sla.latency.min_speedup, "at least", "ratio")
    if sla.throughput:
        yield from _limit(THROUGHPUT, sla.throughput.min, "at least", "samples per second")


def _size_objectives(sla: Sla) -> Iterator[Objective]:
    if sla.size:
        yield from _limit(SIZE_RATIO, sla.size.max_ratio, "at most", "ratio")
        yield from _limit(SIZE, None if sla.size.max is None else parse_quantity(sla.size.max), "at most", "bytes")
    if sla.memory:
        yield from _limit(
            MEMORY, None if sla.memory.max is None else parse_quantity(sla.memory.max), "at most", "bytes"
        )
        yield from _limit(MEMORY_RATIO, sla.memory.max_ratio, "at most", "ratio")
    if sla.cost:
        yield from _limit(COST, sla.cost.max_per_million, "at most", "cost per million samples")


def _trust_objectives(sla: Sla) -> Iterator[Objective]:
    fairness = sla.fairness
    if fairness:
        unit: Unit = "error" if fairness.is_error else "score"
        yield from _limit(WORST_GROUP, fairness.min_worst, "at least", unit)
        yield from _limit(WORST_GROUP, fairness.max_worst, "at most", unit)
        yield from _limit(GAP, fairness.max_gap, "at most", unit)
        yield from _limit(GAP_INCREASE, fairness.max_gap_increase, "at most", unit)
    for name, limit in (sla.robustness.parts() if sla.robustness else {}).items():
        yield from _limit(f"{ROBUSTNESS}.{name}.drop", limit.max_drop, "at most", "score")
        yield from _limit(f"{ROBUSTNESS}.{name}.score", limit.min, "at least", "score")
    if sla.attributions:
        yield from _limit(ATTRIBUTIONS, sla.attributions.min_agreement, "at least", "score")
    if sla.flips:
        yield from _limit(FLIPS, sla.flips.max, "at most", "score")


def _limit(name: str, limit: float | None, direction: Direction, unit: Unit) -> Iterator[Objective]:
    """Yield the objective of a limit that is set."""
    if limit is not None:
        yield Objective(name, limit, direction, unit)


def interval_confidence(sla: Sla, results: int = 1) -> float:
    """Confidence that each interval must have so that all hold together (Bonferroni's correction, Dunn 1961).

    `results` is how many models may be judged until one passes, a number that must not depend on what is measured. Each
    is another chance of a wrong Pass, in whatever order they are tried: a fixed sequence needs no correction only where
    the first test that does not pass is the last (Westfall and Krishen 2001), and here it is the other way round.
    """
    return 1 - (1 - sla.confidence) / (results * max(1, len(objectives_of(sla))))


def judge(sla: Sla, estimates: Mapping[str, Estimate]) -> Judgement:
    """The verdict on measured intervals, made at ``interval_confidence(sla, results)``.

    An objective passes when its whole interval keeps the limit, fails when none of it does, and is inconclusive
    otherwise or when there is no estimate. One Fail fails the job; without a Fail, one Inconclusive leaves it open.
    Without any objective the verdict is NoLimits.
    """
    results = tuple(_result(objective, estimates.get(objective.name)) for objective in objectives_of(sla))
    verdicts = {result.verdict for result in results}
    gravest: Verdict = next((verdict for verdict in _GRAVITY if verdict in verdicts), "NoLimits")
    return Judgement(gravest, sla.confidence, results)


def _result(objective: Objective, estimate: Estimate | None) -> ObjectiveResult:
    verdict = verdict_on(objective, estimate) if estimate else "Inconclusive"
    return ObjectiveResult(
        name=objective.name,
        direction=objective.direction,
        unit=objective.unit,
        limit=objective.limit,
        measured=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        verdict=verdict,
        reason=estimate.reason[:MAX_REASON] if estimate and verdict != "Pass" else "",
        **({} if verdict != "Inconclusive" or estimate is None else _remedy(estimate)),
    )


def _remedy(estimate: Estimate) -> dict[str, Any]:
    """Return what would decide an open limit, as far as it is little enough to be proposed."""
    seconds, samples = estimate.more_seconds, estimate.more_samples
    return {
        "more_seconds": None if seconds is None or seconds > MAX_MORE_SECONDS else seconds,
        "more_samples": None if samples is None or samples > MAX_MORE_SAMPLES else samples,
    }


def verdict_on(objective: Objective, estimate: Estimate) -> LimitVerdict:
    """What an interval says of one limit: kept, broken, or open."""
    if objective.direction == "at most":
        if estimate.high <= objective.limit:
            return "Pass"
        return "Fail" if estimate.low > objective.limit else "Inconclusive"
    if estimate.low >= objective.limit:
        return "Pass"
    return "Fail" if estimate.high < objective.limit else "Inconclusive"


def write_figure(value: float, unit: str) -> str:
    """A number of an objective for people, in its unit."""
    if unbounded(value, unit):
        return "unbounded"
    if unit == "bytes":
        return format_bytes(value)
    if unit == "seconds":
        return format_duration(value)
    if unit == "score":
        return f"{value:.4f}"
    if unit == "error":
        return f"{value:.5g}"
    if unit == "cost per million samples":
        return format_cost(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
