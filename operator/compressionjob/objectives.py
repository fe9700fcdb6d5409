"""The limits that a job sets for its result."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from compressionjob.schema import (
    Drop,
    Duration,
    Fraction,
    NotNegative,
    ObjectName,
    Positive,
    PositiveQuantity,
    Schema,
    cel,
    with_rules,
)
from compressionjob.trust_limits import AttributionLimit, FairnessLimit, FlipLimit, RobustnessLimit

QualityMetric = Literal[
    "cosine",
    "neighbours",
    "matches",
    "agreement",
    "correlation",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "f1Micro",
    "f1Macro",
    "subsetAccuracy",
    "subsetAgreement",
    "perplexity",
    "mae",
    "mse",
    "rouge1",
    "rouge2",
    "rougeL",
    "wer",
]
Percentile = Literal["p50", "p90", "p99"]
LatencyScenario = Literal["SingleStream", "MultiStream", "Server"]

AGREEMENT_METRICS: Final = frozenset({"cosine", "neighbours", "matches", "agreement", "subsetAgreement", "correlation"})
"""Metrics that compare with the baseline: the baseline's own score is 1, and no labels are needed."""
MULTI_LABEL_METRICS: Final[frozenset[QualityMetric]] = frozenset(
    {"f1Micro", "f1Macro", "subsetAccuracy", "subsetAgreement"}
)
"""Metrics of models that give a sample any number of labels (problem_type multi_label_classification)."""
ERROR_METRICS: Final[frozenset[QualityMetric]] = frozenset({"perplexity", "mae", "mse", "wer"})
"""Metrics of which less is better, without an upper end; the others are scores from 0 to 1 of which more is better."""
SCORE_LIMITS: Final = ("maxDrop", "min")
ERROR_LIMITS: Final = ("maxIncrease", "max")
"""The limits of sla.quality that go with each kind of metric."""


def _needs_one_of(*names: str) -> tuple[ConfigDict, str]:
    text = f"set at least one of {', '.join(names)}"
    rule = " || ".join(f"has(self.{name})" for name in names)
    return with_rules(cel(rule, text)), text


_QUALITY_TEXT: Final = "set at least one of maxDrop, min (of a score), maxIncrease, max (of an error)"
_QUALITY_RULE: Final = " || ".join(f"has(self.{name})" for name in (*SCORE_LIMITS, *ERROR_LIMITS))
_MIXED_TEXT: Final = "maxDrop and min are for scores, maxIncrease and max for errors; set those of one kind"
_MIXED_RULE: Final = "!((has(self.maxDrop) || has(self.min)) && (has(self.maxIncrease) || has(self.max)))"
_ERROR_TEXT: Final = f"{', '.join(sorted(ERROR_METRICS))}: less is better; set maxIncrease or max, not maxDrop or min"
_SCORE_TEXT: Final = "more of a score is better; set maxDrop or min, not maxIncrease or max"
_IS_ERROR: Final = f"self.metric in [{', '.join(repr(name) for name in sorted(ERROR_METRICS))}]"
_ERROR_RULE: Final = f"!has(self.metric) || !({_IS_ERROR}) || (!has(self.maxDrop) && !has(self.min))"
_SCORE_RULE: Final = f"!has(self.metric) || {_IS_ERROR} || (!has(self.maxIncrease) && !has(self.max))"
_LATENCY_TEXT: Final = "set at least one of max, minSpeedup"
_RATE_TEXT: Final = 'scenario Server, and no other, needs targetRate, the queries that arrive in a second: "50"'
_SAMPLES_TEXT: Final = "scenario MultiStream, and no other, needs samplesPerQuery, the samples that arrive at once: 8"
_SIZE, _SIZE_TEXT = _needs_one_of("maxRatio", "max")
_MEMORY, _MEMORY_TEXT = _needs_one_of("max", "maxRatio")


class QualityLimit(Schema):
    """How much quality may be lost, measured on the evaluation data."""

    model_config = with_rules(
        cel(_QUALITY_RULE, _QUALITY_TEXT),
        cel(_MIXED_RULE, _MIXED_TEXT),
        cel(_ERROR_RULE, _ERROR_TEXT),
        cel(_SCORE_RULE, _SCORE_TEXT),
    )

    metric: QualityMetric | None = Field(
        default=None,
        description="cosine, neighbours (same nearest neighbour), matches (F1 of output rows that match, for detectors "
        "that end in NonMaxSuppression), agreement (same answer) and correlation compare with the baseline; accuracy, "
        "precision, recall and f1 need labels; for models of several labels for a sample accuracy and agreement count "
        "label by label, and there are f1Micro, f1Macro, subsetAccuracy and subsetAgreement (all labels right, or the "
        "same); rouge1, rouge2 and rougeL need reference texts. "
        "Errors, of which less is better: perplexity, mae, mse, wer (word error rate). By default cosine for "
        "embeddings and raw ONNX (matches where the number of rows varies), perplexity for text-generation; with "
        "labels or targets accuracy, mae, rougeL or wer, without agreement or correlation.",
    )
    max_drop: Drop | None = Field(default=None, description='Largest loss against the baseline, in [0, 1]: "0.01".')
    min: Drop | None = Field(default=None, description='Least score of the result, in [0, 1]: "0.9".')
    max_increase: NotNegative | None = Field(
        default=None, description='Largest increase of an error against the baseline\'s: "0.01" is one per cent more.'
    )
    max: Positive | None = Field(default=None, description='Largest error of the result: "12.5".')

    @model_validator(mode="after")
    def _limits_of_one_kind(self) -> "QualityLimit":
        if not (self.limits_score or self.limits_error):
            raise ValueError(_QUALITY_TEXT)
        if self.limits_score and self.limits_error:
            raise ValueError(_MIXED_TEXT)
        if self.metric in ERROR_METRICS and self.limits_score:
            raise ValueError(_ERROR_TEXT)
        if self.metric and self.metric not in ERROR_METRICS and self.limits_error:
            raise ValueError(_SCORE_TEXT)
        return self

    @property
    def limits_score(self) -> bool:
        """Whether a limit for scores is set."""
        return self.max_drop is not None or self.min is not None

    @property
    def limits_error(self) -> bool:
        """Whether a limit for errors is set."""
        return self.max_increase is not None or self.max is not None


class LatencyLimit(Schema):
    """How long one query may take, in one of MLPerf's scenarios."""

    model_config = with_rules(
        cel("has(self.max) || has(self.minSpeedup)", _LATENCY_TEXT),
        cel("(self.scenario == 'Server') == has(self.targetRate)", _RATE_TEXT),
        cel("(self.scenario == 'MultiStream') == has(self.samplesPerQuery)", _SAMPLES_TEXT),
    )

    percentile: Percentile = Field(default="p99", description="The percentile that both limits are about.")
    max: Duration | None = Field(default=None, description='Largest latency of one query: "20ms".')
    min_speedup: Positive | None = Field(
        default=None, description="Least ratio of the baseline's latency to the result's, measured in the same run."
    )
    scenario: LatencyScenario = Field(
        default="SingleStream",
        description="MLPerf LoadGen scenario. SingleStream: the next query starts when the last one ended. "
        "MultiStream: so too, with samplesPerQuery samples in a query. Server: queries arrive at random (Poisson) at "
        "targetRate and wait for their turn; latency counts from the arrival, and a model that cannot keep the rate "
        "has none.",
    )
    target_rate: Positive | None = Field(
        default=None, description='Server: queries that arrive in a second, on average: "50".'
    )
    samples_per_query: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="MultiStream: samples that arrive at once, answered in one batch."
    )

    @model_validator(mode="after")
    def _limit_and_scenario(self) -> "LatencyLimit":
        if self.max is None and self.min_speedup is None:
            raise ValueError(_LATENCY_TEXT)
        if (self.scenario == "Server") != (self.target_rate is not None):
            raise ValueError(_RATE_TEXT)
        if (self.scenario == "MultiStream") != (self.samples_per_query is not None):
            raise ValueError(_SAMPLES_TEXT)
        return self


class ThroughputLimit(Schema):
    """How many samples a second must be answered when all of them are there at once (MLPerf Offline)."""

    min: Positive = Field(description="Least number of samples per second.")
    scenario: Literal["Offline"] = Field(default="Offline", description="MLPerf LoadGen scenario.")


class SizeLimit(Schema):
    """How large the model files may be."""

    model_config = _SIZE

    max_ratio: Positive | None = Field(
        default=None, description="Largest ratio of the result's size to the baseline's."
    )
    max: PositiveQuantity | None = Field(default=None, description='Largest size of the result: "30Mi".')

    @model_validator(mode="after")
    def _some_limit(self) -> "SizeLimit":
        if self.max_ratio is None and self.max is None:
            raise ValueError(_SIZE_TEXT)
        return self


class MemoryLimit(Schema):
    """How much memory a fresh process that serves the result may need at its peak."""

    model_config = _MEMORY

    max: PositiveQuantity | None = Field(default=None, description='Largest peak memory: "512Mi".')
    max_ratio: Positive | None = Field(
        default=None, description="Largest ratio of the result's peak to the baseline's."
    )

    @model_validator(mode="after")
    def _some_limit(self) -> "MemoryLimit":
        if self.max is None and self.max_ratio is None:
            raise ValueError(_MEMORY_TEXT)
        return self


class CostLimit(Schema):
    """What answering may cost on the hardware that measures: its price per hour at the measured throughput."""

    max_per_million: Positive = Field(
        description='Largest cost of a million samples, in the currency of its pricePerHour: "1.5".'
    )


class Sla(Schema):
    """The limits, the confidence that is wanted of the verdict, and what happens when it is not Pass."""

    quality: QualityLimit | None = Field(default=None, description="Limit on lost quality.")
    latency: LatencyLimit | None = Field(default=None, description="Limit on latency.")
    throughput: ThroughputLimit | None = Field(default=None, description="Limit on throughput.")
    size: SizeLimit | None = Field(default=None, description="Limit on size.")
    memory: MemoryLimit | None = Field(default=None, description="Limit on peak memory.")
    cost: CostLimit | None = Field(default=None, description="Limit on the cost of answers.")
    fairness: FairnessLimit | None = Field(default=None, description="Limit on the worst group and on gaps.")
    robustness: RobustnessLimit | None = Field(default=None, description="Limit under noise, corruption and attack.")
    attributions: AttributionLimit | None = Field(default=None, description="Limit on what answers rest on.")
    flips: FlipLimit | None = Field(default=None, description="Limit on answers that change.")
    runtime: ObjectName | None = Field(
        default=None,
        description="Name of the CompressionRuntime on which the result is measured: the hardware that will serve it. "
        "By default the one that compresses.",
    )
    confidence: Fraction = Field(
        default=0.95, description='Confidence that a Pass or a Fail must reach, over all limits together: "0.95".'
    )
    on_violation: Literal["Fail", "Fallback", "Alert"] = Field(
        default="Fail",
        description="Fail: a result that is not a Pass is not published. Fallback: the smallest result of an earlier "
        "stage that passes is published in its place, and the report tells what was given up. Alert: it is published "
        "and marked. Without limits every result is published, with the verdict NoLimits.",
    )


LIMITS: Final = frozenset(Sla.model_fields) - {"runtime", "confidence", "on_violation"}
"""The fields of an SLA that set limits: each of them at least one."""


def sets_limits(spec: Mapping[str, Any]) -> bool:
    """Return whether a job's spec, as its author wrote it, sets any limit."""
    sla = spec.get("sla")
    return isinstance(sla, Mapping) and any(sla.get(name) is not None for name in LIMITS)
