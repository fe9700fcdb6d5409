"""Limits on latency, throughput, size, memory and cost."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from compressionjob.field_types import Duration, Positive, PositiveQuantity, Schema, cel, with_rules

Percentile = Literal["p50", "p90", "p99"]
LatencyScenario = Literal["SingleStream", "MultiStream", "Server"]


def _needs_one_of(*names: str) -> tuple[ConfigDict, str]:
    text = f"set at least one of {', '.join(names)}"
    rule = " || ".join(f"has(self.{name})" for name in names)
    return with_rules(cel(rule, text)), text


_LATENCY_TEXT: Final = "set at least one of max, minSpeedup"
_RATE_TEXT: Final = (
    'scenario Server needs targetRate (queries per second), such as "50"; other scenarios do not allow it'
)
_SAMPLES_TEXT: Final = (
    "scenario MultiStream needs samplesPerQuery (samples in one query), such as 8; other scenarios do not allow it"
)
_SIZE, _SIZE_TEXT = _needs_one_of("maxRatio", "max")
_MEMORY, _MEMORY_TEXT = _needs_one_of("max", "maxRatio")


class LatencyLimit(Schema):
    """Limit on the latency of a query, in a scenario of MLPerf."""

    model_config = with_rules(
        cel("has(self.max) || has(self.minSpeedup)", _LATENCY_TEXT),
        cel("(self.scenario == 'Server') == has(self.targetRate)", _RATE_TEXT),
        cel("(self.scenario == 'MultiStream') == has(self.samplesPerQuery)", _SAMPLES_TEXT),
    )

    percentile: Percentile = Field(default="p99", description="Percentile of latency that both limits apply to.")
    max: Duration | None = Field(default=None, description='Largest latency of one query: "20ms".')
    min_speedup: Positive | None = Field(
        default=None,
        description="Lowest ratio of the baseline's latency to that of the compressed model, measured in the same run.",
    )
    scenario: LatencyScenario = Field(
        default="SingleStream",
        description="MLPerf LoadGen scenario. SingleStream: each query starts when the previous one ends. "
        "MultiStream: the same, with samplesPerQuery samples in a query. Server: queries arrive at random (Poisson) at "
        "targetRate and wait in a queue; latency counts from the arrival, and a model that cannot keep up with the "
        "rate has no latency.",
    )
    target_rate: Positive | None = Field(
        default=None, description='Server: mean number of queries that arrive in a second: "50".'
    )
    samples_per_query: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="MultiStream: samples that arrive at once and form one batch."
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
    """Limit on the samples per second when all samples are available at once (MLPerf Offline)."""

    min: Positive = Field(description="Lowest number of samples per second.")
    scenario: Literal["Offline"] = Field(default="Offline", description="MLPerf LoadGen scenario.")


class SizeLimit(Schema):
    """Limit on the size of the model files."""

    model_config = _SIZE

    max_ratio: Positive | None = Field(
        default=None, description="Largest size of the compressed model divided by the baseline's."
    )
    max: PositiveQuantity | None = Field(default=None, description='Largest size of the compressed model: "30Mi".')

    @model_validator(mode="after")
    def _some_limit(self) -> "SizeLimit":
        if self.max_ratio is None and self.max is None:
            raise ValueError(_SIZE_TEXT)
        return self


class MemoryLimit(Schema):
    """Limit on the peak memory of a fresh process that serves the compressed model."""

    model_config = _MEMORY

    max: PositiveQuantity | None = Field(default=None, description='Largest peak memory: "512Mi".')
    max_ratio: Positive | None = Field(
        default=None, description="Largest peak memory of the compressed model divided by the baseline's."
    )

    @model_validator(mode="after")
    def _some_limit(self) -> "MemoryLimit":
        if self.max is None and self.max_ratio is None:
            raise ValueError(_MEMORY_TEXT)
        return self


class CostLimit(Schema):
    """Limit on the cost of inference, from the price per hour of the measuring runtime and the measured throughput."""

    max_per_million: Positive = Field(
        description='Largest cost of a million samples, in the currency of pricePerHour: "1.5".'
    )
