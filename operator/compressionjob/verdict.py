"""The verdict: a pure function of the limits and the measured intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from compressionjob.estimate import Estimate, unbounded
from compressionjob.field_types import TolerantSchema, format_bytes
from compressionjob.figures import write_figure
from compressionjob.objectives import Sla
from compressionjob.sla_objectives import NAMES, Direction, Objective, Unit, objectives_of

LimitVerdict = Literal["Pass", "Fail", "Inconclusive"]
"""The verdict on one limit."""
Verdict = Literal[LimitVerdict, "NoLimits"]
"""The verdict on a model. NoLimits: the job sets no limits, so nothing was judged."""

NO_LIMITS_SENTENCE: Final = "the job sets no limits, so nothing was judged"
NO_LIMITS_WARNING: Final = (
    "spec.sla sets no limits: the model will be published whatever is measured, with the verdict NoLimits; "
    "set at least one, such as spec.sla.quality"
)
"""Warning before a job without limits runs."""

MAX_REASON: Final = 256
MAX_MORE_SECONDS: Final = 31_536_000
"""One year. A longer benchmark is not proposed."""
MAX_MORE_SAMPLES: Final = 1_000_000_000

_SEVERITY: Final[tuple[LimitVerdict, ...]] = ("Fail", "Inconclusive", "Pass")


class ObjectiveResult(TolerantSchema):
    """One limit with its measurement and verdict."""

    name: Annotated[str, Field(max_length=64)] = Field(description="Name of the objective.")
    direction: Direction = Field(default="at most", description="Whether the limit is an upper or a lower bound.")
    unit: Annotated[str, Field(max_length=32)] = Field(default="ratio", description="Unit of the numbers.")
    limit: float = Field(description="Limit that the job sets.")
    measured: float | None = Field(default=None, description="Measured value; absent if it could not be measured.")
    low: float | None = Field(default=None, description="Lower end of the interval.")
    high: float | None = Field(default=None, description="Upper end of the interval.")
    verdict: LimitVerdict = Field(description="Verdict on this limit.")
    reason: Annotated[str, Field(max_length=MAX_REASON)] = Field(
        default="", description="Cause of a wide interval other than chance, such as noise."
    )
    more_seconds: Annotated[float, Field(ge=0, le=MAX_MORE_SECONDS)] | None = Field(
        default=None,
        description="About how much longer spec.benchmark.timeLimit must be to decide this limit; absent if more time "
        "would not decide it.",
    )
    more_samples: Annotated[int, Field(ge=0, le=MAX_MORE_SAMPLES)] | None = Field(
        default=None,
        description="About how many more evaluation samples would decide this limit; absent if more samples would not "
        "decide it.",
    )

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out unknown remedies (moreSeconds, moreSamples)."""
        absent = {"more_seconds", "moreSeconds", "more_samples", "moreSamples"}
        return {key: value for key, value in dump(self).items() if key not in absent or value is not None}

    @property
    def is_known(self) -> bool:
        """Whether this version knows the objective and its unit."""
        return self.name in NAMES and self.unit in get_args(Unit)

    def write(self, value: float) -> str:
        """Format a value of this objective in the unit of the limit."""
        if self.unit == "bytes" and not unbounded(value, self.unit):
            return format_bytes(value, like=self.limit)
        return write_figure(value, self.unit)

    def describe(self) -> str:
        """Return the objective in a sentence."""
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
    """The verdict on all objectives. ``confidence`` holds for all of them together."""

    verdict: Verdict
    confidence: float
    objectives: tuple[ObjectiveResult, ...]

    def sentence(self) -> str:
        """Return the verdict in one sentence."""
        if self.verdict == "NoLimits":
            return NO_LIMITS_SENTENCE
        deciding = [item.describe() for item in self.objectives if item.verdict == self.verdict]
        count = len(deciding)
        if self.verdict == "Pass":
            held = "the 1 limit holds" if count == 1 else f"all {count} limits hold"
            return f"{held} at {100 * self.confidence:g} % confidence"
        limits = "1 limit" if count == 1 else f"{count} limits"
        broken = f"{limits} {'is' if count == 1 else 'are'} broken"
        start = broken if self.verdict == "Fail" else f"the measurement cannot decide {limits}"
        return f"{start}: {'; '.join(deciding)}"


def interval_confidence(sla: Sla, results: int = 1) -> float:
    """Return the confidence that each interval needs so that all hold together (Bonferroni correction, Dunn 1961).

    `results` is the number of models that may be judged until one passes. It must not depend on the measurements. Each
    model is another chance of a wrong Pass, in any order: a fixed sequence needs no correction only if it stops at the
    first test that does not pass (Westfall and Krishen 2001), and here it stops at the first that passes.
    """
    return 1 - (1 - sla.confidence) / (results * max(1, len(objectives_of(sla))))


def judge(sla: Sla, estimates: Mapping[str, Estimate]) -> Judgement:
    """Return the verdict on intervals that were estimated at ``interval_confidence(sla, results)``.

    An objective passes if its whole interval keeps the limit and fails if the whole interval breaks it. Otherwise, or
    without an estimate, it is inconclusive. The verdict is Fail if any objective fails, otherwise Inconclusive if any
    is inconclusive. It is NoLimits without objectives.
    """
    results = tuple(_result(objective, estimates.get(objective.name)) for objective in objectives_of(sla))
    verdicts = {result.verdict for result in results}
    worst: Verdict = next((verdict for verdict in _SEVERITY if verdict in verdicts), "NoLimits")
    return Judgement(worst, sla.confidence, results)


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
    """Return the time and the samples that would decide an open limit, each only if it is below the maximum."""
    seconds, samples = estimate.more_seconds, estimate.more_samples
    return {
        "more_seconds": None if seconds is None or seconds > MAX_MORE_SECONDS else seconds,
        "more_samples": None if samples is None or samples > MAX_MORE_SAMPLES else samples,
    }


def verdict_on(objective: Objective, estimate: Estimate) -> LimitVerdict:
    """Return the verdict of an interval on one limit."""
    if objective.direction == "at most":
        if estimate.high <= objective.limit:
            return "Pass"
        return "Fail" if estimate.low > objective.limit else "Inconclusive"
    if estimate.low >= objective.limit:
        return "Pass"
    return "Fail" if estimate.high < objective.limit else "Inconclusive"
