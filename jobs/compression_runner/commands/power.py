"""The statistical power that `plan` shows: the decidable difference from each limit, and the cost of half of it."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from compression_runner.evaluation.machine.memory import LOOKS_AT, VARIATION
from compression_runner.evaluation.request import looks_at_samples
from compression_runner.evaluation.speed.latency import LATENCY_SHARE
from compression_runner.evaluation.speed.latency_run import QUANTILES
from compression_runner.evaluation.speed.sizing import MAX_QUERIES, NEARLY_ALL, Sizing, size_run
from compression_runner.evaluation.speed.throughput import most_pairs
from compression_runner.evaluation.statistics.alpha_spending import each_look, look_of_data
from compression_runner.evaluation.statistics.block_bootstrap import BEYOND_PERCENTILE
from compression_runner.evaluation.statistics.paired_shares import each_of
from compression_runner.evaluation.statistics.power import (
    FOUR_TIMES,
    difference_reach,
    least_share,
    mean_reach,
    percentile_reach,
    samples_for_share,
    share_reach,
)
from compressionjob.field_types import format_duration, parse_duration
from compressionjob.objectives import ERROR_METRICS, QualityMetric
from compressionjob.serving import SERVING_NAMES
from compressionjob.sla_objectives import (
    COST,
    FLIPS,
    LATENCY,
    MEMORY,
    MEMORY_RATIO,
    QUALITY_DROP,
    QUALITY_ERROR,
    QUALITY_INCREASE,
    QUALITY_SCORE,
    RECOVERY,
    SIZE,
    SIZE_RATIO,
    SPEEDUP,
    THROUGHPUT,
    Objective,
)
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import default_metric
from compressionjob.verdict import interval_confidence

SHARES_OF_SAMPLES: Final[frozenset[QualityMetric]] = frozenset({"agreement", "subsetAgreement", "neighbours"})
"""Scores relative to the baseline: the drop is the share of wrong samples."""
SHARES_OF_RIGHT: Final[frozenset[QualityMetric]] = frozenset(
    {"accuracy", "precision", "recall", "f1", "f1Micro", "f1Macro", "subsetAccuracy"}
)
USUAL_DISAGREEMENT: Final = 0.05
USUAL_SCORE: Final = 0.5
"""Assumed score of the baseline on a task."""
USUAL_VARIATION: Final = 0.1
"""Assumed standard deviation of the queries, or of the pairs of blocks, of a run as a share of their mean."""
USUAL_SPREAD: Final = 0.1
"""Assumed standard deviation of a score, or of the change of an error, between samples."""
QUERY_SECONDS: Final = (0.01, 0.1)
"""Assumed durations of a query if no limit states one."""


@dataclass(frozen=True)
class Power:
    """The decidable difference from a limit with its assumption, and the cost of half of it."""

    reach: str
    half: str = ""

    def __str__(self) -> str:
        return f"{self.reach}; half of that: {self.half}" if self.half else self.reach


@dataclass(frozen=True)
class Planned:
    """The inputs of a run's power: the job, and its largest numbers of evaluation samples and of judged results."""

    spec: CompressionJobSpec
    samples: int
    results: int = 1

    @property
    def confidence(self) -> float:
        """The confidence of one objective over all looks at it."""
        return interval_confidence(self.spec.sla, self.results)

    @property
    def of_samples(self) -> float:
        """The confidence of the interval over all samples."""
        confidence = self.confidence
        looks = max(
            len(looks_at_samples(self.spec, self.samples, has_labels=one, confidence=confidence))
            for one in (True, False)
        )
        return look_of_data(confidence, looks - 1, looks)

    @property
    def of_time(self) -> float:
        """The confidence of the intervals at each look at a measurement with a time limit."""
        return each_look(self.confidence)

    @property
    def metric(self) -> QualityMetric:
        """The metric of the limits on quality; by default that with labels, if the limits fit it."""
        limits = self.spec.sla.quality
        named = [default_metric(self.spec.model.task, has_labels=labels) for labels in (True, False)]
        fitting = [name for name in named if limits and (name in ERROR_METRICS) == limits.limits_error]
        return self.spec.quality_metric or (fitting or named)[0]

    @property
    def seconds(self) -> float:
        """The time limit."""
        return parse_duration(self.spec.benchmark.time_limit)

    @property
    def longer(self) -> str:
        """The cost of half of a difference, if the time limit decides."""
        return f"spec.benchmark.timeLimit {format_duration(FOUR_TIMES * self.seconds)}"

    @property
    def more_samples(self) -> str:
        """The cost of half of a difference, if the samples decide."""
        return f"{FOUR_TIMES * self.samples:,} samples"


def power_of(objective: Objective, planned: Planned) -> Power:
    """Return the power of one objective."""
    power = _POWERS.get(objective.name)
    if power is None:
        return Power("known after the run: it depends on groups, on inputs that are disturbed or on single answers")
    return power(objective, planned)


def undecidable(planned: Planned) -> Iterator[str]:
    """Yield a warning for each limit that the evaluation samples cannot decide even for a perfect model."""
    limits, samples = planned.spec.sla, planned.samples
    shares: dict[str, float | None] = {}
    if limits.quality and planned.metric in SHARES_OF_SAMPLES | SHARES_OF_RIGHT:
        least = limits.quality.min
        shares["quality.maxDrop"] = limits.quality.max_drop
        shares["quality.min"] = None if least is None else 1.0 - least
    if limits.flips:
        shares["flips.max"] = limits.flips.max
    for name, share in shares.items():
        if share is None or least_share(samples, planned.of_samples) <= share:
            continue
        written = f"{1.0 - share:g}" if name.endswith("min") else f"{share:g}"
        problem = (
            f"spec.sla.{name} ({written}): {samples:,} evaluation samples cannot decide it, even for a perfect model"
        )
        if share <= 0:
            yield f"{problem}; no number of samples can"
            continue
        needed = _samples_needed(share, planned)
        yield f"{problem}; give at least {needed:,} samples (spec.data.evaluation.limit {needed})"


def _samples_needed(share: float, planned: Planned) -> int:
    """Return how many samples decide a share for a perfect model, with the looks for that number."""
    first = samples_for_share(share, planned.of_samples)
    return samples_for_share(share, replace(planned, samples=first).of_samples)


def _quality(objective: Objective, planned: Planned) -> Power:
    samples, confidence, metric = planned.samples, planned.of_samples, planned.metric
    is_drop = objective.name == QUALITY_DROP
    if metric in SHARES_OF_RIGHT and is_drop:
        usual, worst = (difference_reach(samples, share, confidence) for share in (USUAL_DISAGREEMENT, 1.0))
        why = f"if the models differ on {USUAL_DISAGREEMENT:.0%} of the samples, {worst:.2g} at worst"
    elif metric in SHARES_OF_SAMPLES | SHARES_OF_RIGHT:
        usual, worst = (share_reach(samples, share, confidence) for share in (USUAL_DISAGREEMENT, 0.5))
        why = f"if {USUAL_DISAGREEMENT:.0%} of the samples go wrong, {worst:.2g} at worst"
    else:
        as_limit = is_drop or objective.name == QUALITY_ERROR
        spread = objective.limit if as_limit and objective.limit > 0 else USUAL_SPREAD
        # For many samples, Student's interval and the bootstrap's are both that of a normal mean.
        usual = mean_reach(max(2, samples), 1.0, confidence) * spread
        what = "the change of the error, as a share of it," if objective.name == QUALITY_INCREASE else metric
        why = f"if {what} varies by {spread:g} between samples (standard deviation)"
    return Power(f"about {usual:.2g} with {samples:,} samples {why}", planned.more_samples)


def _flips(objective: Objective, planned: Planned) -> Power:
    usual, worst = (share_reach(planned.samples, share, planned.of_samples) for share in (USUAL_DISAGREEMENT, 0.5))
    why = f"if {USUAL_DISAGREEMENT:.0%} of the answers change, {worst:.2g} at worst"
    return Power(f"about {usual:.2g} with {planned.samples:,} samples {why}", planned.more_samples)


def _latency(objective: Objective, planned: Planned) -> Power:
    def reach(sizing: Sizing, quantile: float) -> float | None:
        return percentile_reach(sizing.looks[-1] * sizing.queries, quantile, USUAL_VARIATION, planned.of_time)

    return _timed(planned, reach, "queries")


def _speedup(objective: Objective, planned: Planned) -> Power:
    def reach(sizing: Sizing, quantile: float) -> float | None:
        if sizing.queries * (1.0 - quantile) >= BEYOND_PERCENTILE:
            return percentile_reach(sizing.looks[-1], 0.5, USUAL_VARIATION, planned.of_time)
        count = sizing.looks[-1] * sizing.queries
        one = percentile_reach(count, quantile, USUAL_VARIATION, planned.of_time)
        # Both percentiles are uncertain, independently of each other.
        return None if one is None else math.sqrt(2.0) * one

    return _timed(planned, reach, "pairs of blocks")


def _timed(planned: Planned, reach: Callable[[Sizing, float], float | None], vary: str) -> Power:
    """Return the power of a latency measurement, by the duration of a query."""
    limits = planned.spec.sla.latency
    assert limits is not None
    if limits.scenario == "Server":
        return Power("known after the first look: queries that wait for each other are not independent")
    quantile, seconds = QUANTILES[limits.percentile], planned.seconds * LATENCY_SHARE
    durations = QUERY_SECONDS if limits.max is None else (parse_duration(limits.max),)
    parts, half = [], planned.longer
    for duration in durations:
        sizing = size_run(2.0 * duration, seconds, planned.of_time, quantile)
        reached, count = reach(sizing, quantile), sizing.looks[-1] * sizing.queries
        if count >= NEARLY_ALL * MAX_QUERIES:
            half = f"not in one run, which ends at {MAX_QUERIES:,} queries"
        what = f"queries of {format_duration(duration)} ({count:,} to each model)"
        parts.append(f"nothing with {what}: too few" if reached is None else f"about {reached:.1%} with {what}")
    return Power(f"{', '.join(parts)}, if {vary} vary by {USUAL_VARIATION:.0%}", half)


def _throughput(objective: Objective, planned: Planned) -> Power:
    seconds = planned.seconds * (1.0 - LATENCY_SHARE)
    pairs = most_pairs(seconds)
    reach = mean_reach(pairs, USUAL_VARIATION, planned.of_time)
    return Power(f"about {reach:.1%} with {pairs:,} blocks, if they vary by {USUAL_VARIATION:.0%}", planned.longer)


def _memory(objective: Objective, planned: Planned) -> Power:
    reach = mean_reach(LOOKS_AT[-1], VARIATION, each_look(planned.confidence, len(LOOKS_AT)))
    both = 2.0 if objective.name == MEMORY_RATIO else 1.0
    processes = f"{LOOKS_AT[-1]} processes, the most that are started"
    return Power(f"about {both * reach:.1%} with {processes}, if they vary by {VARIATION:.0%}")


def _recovery(objective: Objective, planned: Planned) -> Power:
    limit, tasks = planned.spec.sla.recovery, planned.spec.data.tasks
    judged = [task for task in tasks if limit and limit.judges(task.name)]
    fewest, each = min(task.limit for task in judged), each_of(len(judged), planned.confidence)
    usual, worst = (difference_reach(fewest, share, each) / USUAL_SCORE for share in (USUAL_DISAGREEMENT, 1.0))
    why = f"if the models differ on {USUAL_DISAGREEMENT:.0%} of them, {worst:.2g} at worst"
    what = f"{fewest:,} questions of a task that the baseline answers right in {USUAL_SCORE:.0%}"
    return Power(f"about {usual:.2g} with {what}, {why}", f"{FOUR_TIMES * fewest:,} questions")


def _served(objective: Objective, planned: Planned) -> Power:
    return Power("known after the first look: requests that share a server are not independent")


def _exact(objective: Objective, planned: Planned) -> Power:
    return Power("any difference (sizes are counted)")


_POWERS: Final[Mapping[str, Callable[[Objective, Planned], Power]]] = {
    **dict.fromkeys((QUALITY_DROP, QUALITY_SCORE, QUALITY_INCREASE, QUALITY_ERROR), _quality),
    FLIPS: _flips,
    RECOVERY: _recovery,
    LATENCY: _latency,
    SPEEDUP: _speedup,
    **dict.fromkeys((THROUGHPUT, COST), _throughput),
    **dict.fromkeys((MEMORY, MEMORY_RATIO), _memory),
    **dict.fromkeys((SIZE, SIZE_RATIO), _exact),
    **dict.fromkeys(SERVING_NAMES, _served),
}
