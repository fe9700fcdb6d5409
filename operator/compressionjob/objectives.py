"""Limits that a job sets for the compressed model."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from compressionjob.field_types import Drop, Fraction, NotNegative, ObjectName, Positive, Schema, cel, with_rules
from compressionjob.performance_limits import CostLimit, LatencyLimit, MemoryLimit, SizeLimit, ThroughputLimit
from compressionjob.serving import LATENCIES, GoodputLimit, OutputLengthLimit, ServedLatencyLimit
from compressionjob.task_data import RecoveryLimit
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
    "klDivergence",
    "klDivergenceP99",
    "mae",
    "mse",
    "rouge1",
    "rouge2",
    "rougeL",
    "wer",
]

AGREEMENT_METRICS: Final = frozenset({"cosine", "neighbours", "matches", "agreement", "subsetAgreement", "correlation"})
"""Metrics that compare with the baseline. The baseline's own score is 1, and no labels are needed."""
MULTI_LABEL_METRICS: Final[frozenset[QualityMetric]] = frozenset(
    {"f1Micro", "f1Macro", "subsetAccuracy", "subsetAgreement"}
)
"""Metrics of models that assign any number of labels to a sample (problem_type multi_label_classification)."""
DIVERGENCES: Final[frozenset[QualityMetric]] = frozenset({"klDivergence", "klDivergenceP99"})
"""Errors against the baseline, whose own is 0: there is no increase of them."""
ERROR_METRICS: Final[frozenset[QualityMetric]] = frozenset({"perplexity", "mae", "mse", "wer", *DIVERGENCES})
"""Metrics where lower is better, without an upper bound. The others are scores from 0 to 1, where higher is better."""
SCORE_LIMITS: Final = ("maxDrop", "min")
ERROR_LIMITS: Final = ("maxIncrease", "max")
"""Limits of sla.quality for scores and for errors."""

_QUALITY_TEXT: Final = "set at least one of maxDrop, min (of a score), maxIncrease, max (of an error)"
_QUALITY_RULE: Final = " || ".join(f"has(self.{name})" for name in (*SCORE_LIMITS, *ERROR_LIMITS))
_MIXED_TEXT: Final = "maxDrop and min are for scores, maxIncrease and max for errors; set limits of one kind"
_MIXED_RULE: Final = "!((has(self.maxDrop) || has(self.min)) && (has(self.maxIncrease) || has(self.max)))"
_ERROR_TEXT: Final = f"{', '.join(sorted(ERROR_METRICS))}: lower is better; set maxIncrease or max, not maxDrop or min"
_SCORE_TEXT: Final = "the metric is a score; set maxDrop or min, not maxIncrease or max"
_IS_ERROR: Final = f"self.metric in [{', '.join(repr(name) for name in sorted(ERROR_METRICS))}]"
_ERROR_RULE: Final = f"!has(self.metric) || !({_IS_ERROR}) || (!has(self.maxDrop) && !has(self.min))"
_SCORE_RULE: Final = f"!has(self.metric) || {_IS_ERROR} || (!has(self.maxIncrease) && !has(self.max))"
_DIVERGENCE_TEXT: Final = "the baseline's own divergence is 0, so it has no increase; set max, not maxIncrease"
_DIVERGENCE_RULE: Final = (
    f"!has(self.metric) || !(self.metric in [{', '.join(repr(name) for name in sorted(DIVERGENCES))}]) || "
    "!has(self.maxIncrease)"
)


class QualityLimit(Schema):
    """Limit on the loss of quality, measured on the evaluation data."""

    model_config = with_rules(
        cel(_QUALITY_RULE, _QUALITY_TEXT),
        cel(_MIXED_RULE, _MIXED_TEXT),
        cel(_ERROR_RULE, _ERROR_TEXT),
        cel(_SCORE_RULE, _SCORE_TEXT),
        cel(_DIVERGENCE_RULE, _DIVERGENCE_TEXT),
    )

    metric: QualityMetric | None = Field(
        default=None,
        description="Compared with the baseline: cosine, neighbours (same nearest neighbour), matches (F1 of matching "
        "output rows, for detectors that end in NonMaxSuppression), agreement (same prediction), correlation. "
        "With labels: accuracy, precision, recall, f1. For multi-label models: f1Micro, f1Macro, subsetAccuracy, "
        "subsetAgreement (all labels are right, or the same); accuracy and agreement count each label. "
        "With reference texts: rouge1, rouge2, rougeL. "
        "Errors, where lower is better: perplexity, mae, mse, wer (word error rate), and of a language model's next "
        "token klDivergence and klDivergenceP99 (mean and 99th percentile of the divergence from the baseline, in "
        "nats; only max applies). Default: cosine for embeddings and task onnx (matches where the number of rows "
        "varies), perplexity for text-generation; for other tasks accuracy, mae, rougeL or wer with labels or targets, "
        "agreement or correlation without.",
    )
    max_drop: Drop | None = Field(
        default=None, description='Largest drop from the baseline\'s score, in [0, 1]: "0.01".'
    )
    min: Drop | None = Field(default=None, description='Lowest score of the compressed model, in [0, 1]: "0.9".')
    max_increase: NotNegative | None = Field(
        default=None, description='Largest relative increase of the baseline\'s error: "0.01" is 1 %.'
    )
    max: Positive | None = Field(default=None, description='Largest error of the compressed model: "12.5".')

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
        if self.metric in DIVERGENCES and self.max_increase is not None:
            raise ValueError(_DIVERGENCE_TEXT)
        return self

    @property
    def limits_score(self) -> bool:
        """Whether a limit for scores is set."""
        return self.max_drop is not None or self.min is not None

    @property
    def limits_error(self) -> bool:
        """Whether a limit for errors is set."""
        return self.max_increase is not None or self.max is not None


class Sla(Schema):
    """The limits, the confidence of the verdict, and the action when the verdict is not Pass."""

    quality: QualityLimit | None = Field(default=None, description="Limit on the loss of quality.")
    latency: LatencyLimit | None = Field(default=None, description="Limit on latency.")
    throughput: ThroughputLimit | None = Field(default=None, description="Limit on throughput.")
    size: SizeLimit | None = Field(default=None, description="Limit on size.")
    memory: MemoryLimit | None = Field(default=None, description="Limit on peak memory.")
    cost: CostLimit | None = Field(default=None, description="Limit on the cost of inference.")
    fairness: FairnessLimit | None = Field(
        default=None, description="Limits on the worst group and on gaps between groups."
    )
    robustness: RobustnessLimit | None = Field(default=None, description="Limits under noise, corruption and attack.")
    attributions: AttributionLimit | None = Field(
        default=None, description="Limit on attribution agreement (SHAP values)."
    )
    flips: FlipLimit | None = Field(default=None, description="Limit on prediction flips.")
    ttft: ServedLatencyLimit | None = Field(default=None, description="Limit on the time to the first token.")
    inter_token: ServedLatencyLimit | None = Field(
        default=None, description="Limit on the gaps between the tokens of an answer (ITL); each gap counts."
    )
    time_per_output_token: ServedLatencyLimit | None = Field(
        default=None, description="Limit on the mean gap of an answer (TPOT, as MLPerf defines it)."
    )
    end_to_end: ServedLatencyLimit | None = Field(default=None, description="Limit on the time to the last token.")
    goodput: GoodputLimit | None = Field(default=None, description="Limit on requests that keep every latency limit.")
    recovery: RecoveryLimit | None = Field(
        default=None, description="Limit on the recovery of tasks (spec.data.tasks) of a language model."
    )
    output_length: OutputLengthLimit | None = Field(default=None, description="Limits on the length of answers.")
    runtime: ObjectName | None = Field(
        default=None,
        description="Name of the CompressionRuntime that measures: the hardware that will serve the model. By default "
        "the one that compresses.",
    )
    confidence: Fraction = Field(
        default=0.95, description='Confidence of a Pass or a Fail, over all limits together: "0.95".'
    )
    on_violation: Literal["Fail", "Fallback", "Alert"] = Field(
        default="Fail",
        description="Action for a verdict other than Pass. Fail: publish nothing. Fallback: publish the smallest model "
        "of an earlier stage that passes, and list the dropped stages in the report. Alert: publish the model with "
        "the reason PublishedDespiteViolation. Without limits every model is published, with the verdict NoLimits.",
    )

    def served_latencies(self) -> dict[str, ServedLatencyLimit]:
        """Return the limits on latencies of served requests, by the names of their fields."""
        limits = (self.ttft, self.inter_token, self.time_per_output_token, self.end_to_end)
        return {name: limit for name, limit in zip(LATENCIES, limits, strict=True) if limit is not None}


LIMITS: Final = frozenset(field.alias or name for name, field in Sla.model_fields.items()) - {
    "runtime", "confidence", "onViolation",
}  # fmt: skip
"""Fields of an SLA, as manifests name them, that set limits, each of them at least one."""


def sets_limits(spec: Mapping[str, Any]) -> bool:
    """Return whether the spec in a job's manifest sets any limit."""
    sla = spec.get("sla")
    return isinstance(sla, Mapping) and any(sla.get(name) is not None for name in LIMITS)
