"""A language model under load on a serving engine: the load, and the limits on what its users see.

The terms are those of MLPerf Inference and of the benchmarks of serving engines: TTFT (time to first token), ITL (gap
between two tokens), TPOT (mean gap of one answer) and goodput (requests that keep every latency limit).
"""

from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, model_validator

from compressionjob.field_types import Duration, Positive, Schema, cel, with_rules, without_default

ServedPercentile = Literal["p50", "p90", "p99"]

LATENCIES: Final = ("ttft", "interToken", "timePerOutputToken", "endToEnd")
"""The latencies of a request, by the names of their limits in spec.sla."""
GOODPUT: Final = "goodput"
OUTPUT_LENGTH: Final = "outputLength"
SERVING_LIMITS: Final = (*LATENCIES, GOODPUT, OUTPUT_LENGTH)
"""Fields of spec.sla whose limits are measured on the serving engine."""
GRAPH_LIMITS: Final = ("latency", "throughput", "memory", "cost")
"""Fields of spec.sla whose limits are measured on the exported graph, in onnxruntime or OpenVINO."""
SHORTER: Final = f"{OUTPUT_LENGTH}.minRatio"
LONGER: Final = f"{OUTPUT_LENGTH}.maxRatio"

SERVING_NAMES: Final = frozenset(
    {name for part in (*LATENCIES, GOODPUT) for name in (part, f"{part}.ratio")} | {SHORTER, LONGER}
)
"""Names of the objectives."""

_LOAD_TEXT: Final = (
    "set one of requestRate (requests a second, at random), concurrency (requests at a time) and findMaxRate: true"
)
_OUTPUT_TEXT: Final = "set one of outputTokens (exactly so many) and maxOutputTokens (an answer may end earlier)"
_LATENCY_TEXT: Final = "set at least one of max, maxRatio"
_RATE_TEXT: Final = "set at least one of min, minRatio"
_LENGTH_TEXT: Final = "set at least one of minRatio, maxRatio"

Tokens = Annotated[int, Field(ge=1, le=32768)]

_FINDS: Final = "(has(self.findMaxRate) && self.findMaxRate)"


class Serving(Schema):
    """The load on the serving engine."""

    model_config = with_rules(
        cel(f"[has(self.requestRate), has(self.concurrency), {_FINDS}].exists_one(set, set)", _LOAD_TEXT),
        cel("has(self.outputTokens) != has(self.maxOutputTokens)", _OUTPUT_TEXT),
    )

    prompt_tokens: Tokens = Field(
        default=128, description="Tokens of each prompt. Prompts are cut from the evaluation data."
    )
    output_tokens: Tokens | None = Field(
        default=None,
        description="Tokens of each answer. The end-of-text token is ignored, so all requests are alike.",
    )
    max_output_tokens: Tokens | None = Field(
        default=None, description="Most tokens of an answer. An answer ends earlier at the end-of-text token."
    )
    request_rate: Positive | None = Field(
        default=None, description='Mean number of requests that arrive per second, at random (Poisson): "2".'
    )
    concurrency: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="Requests at a time. A new one is sent when one ends."
    )
    find_max_rate: bool = Field(
        default=False,
        description="Find the highest rate of requests, at random, at which the max of every latency limit holds, for "
        "each model. sla.goodput then limits this rate.",
        json_schema_extra=without_default,
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> "Serving":
        if (self.request_rate is not None, self.concurrency is not None, self.find_max_rate).count(True) != 1:
            raise ValueError(_LOAD_TEXT)
        if (self.output_tokens is None) == (self.max_output_tokens is None):
            raise ValueError(_OUTPUT_TEXT)
        return self

    @property
    def longest_answer(self) -> int:
        """Most tokens of an answer."""
        return self.output_tokens or self.max_output_tokens or 0


class ServedLatencyLimit(Schema):
    """Limit on one latency of requests to the serving engine."""

    model_config = with_rules(cel("has(self.max) || has(self.maxRatio)", _LATENCY_TEXT))

    percentile: ServedPercentile = Field(default="p99", description="Percentile that both limits apply to.")
    max: Duration | None = Field(default=None, description='Largest latency at the percentile: "500ms".')
    max_ratio: Positive | None = Field(
        default=None,
        description="Largest ratio of the latency of the compressed model to the baseline's, under the same load.",
    )

    @model_validator(mode="after")
    def _some_limit(self) -> "ServedLatencyLimit":
        if self.max is None and self.max_ratio is None:
            raise ValueError(_LATENCY_TEXT)
        return self


class GoodputLimit(Schema):
    """Limit on the requests a second that keep every latency limit (max) of the job."""

    model_config = with_rules(cel("has(self.min) || has(self.minRatio)", _RATE_TEXT))

    min: Positive | None = Field(default=None, description='Lowest goodput, in requests per second: "1.8".')
    min_ratio: Positive | None = Field(
        default=None, description="Lowest ratio of the goodput of the compressed model to the baseline's."
    )

    @model_validator(mode="after")
    def _some_limit(self) -> "GoodputLimit":
        if self.min is None and self.min_ratio is None:
            raise ValueError(_RATE_TEXT)
        return self


class OutputLengthLimit(Schema):
    """Limit on the mean tokens of an answer, as a ratio to the baseline's answers to the same prompts."""

    model_config = with_rules(cel("has(self.minRatio) || has(self.maxRatio)", _LENGTH_TEXT))

    min_ratio: Positive | None = Field(
        default=None,
        description="Lowest mean length of the answers divided by the baseline's; a model that stops early is below "
        'it: "0.9".',
    )
    max_ratio: Positive | None = Field(
        default=None,
        description="Largest mean length of the answers divided by the baseline's; a model that rambles is above it: "
        '"1.1".',
    )

    @model_validator(mode="after")
    def _some_limit(self) -> "OutputLengthLimit":
        if self.min_ratio is None and self.max_ratio is None:
            raise ValueError(_LENGTH_TEXT)
        return self


TOGETHER_TEXT: Final = "engine vllm needs serving (the load), and serving needs engine vllm"
BENCHMARK_RULES: Final[list[JsonValue]] = [
    cel("(has(self.engine) && self.engine == 'vllm') == has(self.serving)", TOGETHER_TEXT)
]
_IS_SERVED: Final = "(has(self.benchmark) && has(self.benchmark.serving))"
_FINDS_RATE: Final = f"({_IS_SERVED} && has(self.benchmark.serving.findMaxRate) && self.benchmark.serving.findMaxRate)"
NEEDS_SERVING: Final = "it is measured on a serving engine; set spec.benchmark.engine: vllm and spec.benchmark.serving"
GRAPH_REMEDY: Final = (
    "it is measured on the exported graph, not in vLLM; limit sla.ttft, interToken, timePerOutputToken, endToEnd or "
    "goodput instead"
)
TASK_REMEDY: Final = "vLLM serves language models (task text-generation); leave engine and serving out"
FORMAT_REMEDY: Final = "vLLM serves a Transformers folder; use auto"
GOODPUT_REMEDY: Final = (
    "goodput counts the requests that keep the latency limits; set max of sla.ttft, interToken, timePerOutputToken or "
    "endToEnd"
)
LENGTH_REMEDY: Final = "all answers have outputTokens tokens; set maxOutputTokens instead, so that the model ends them"

ENDS_EARLY: Final = (*LATENCIES[1:], GOODPUT)
"""Limits that a model keeps more easily if it ends its answers early."""
SHORTER_REMEDY: Final = (
    "with maxOutputTokens, a model that ends its answers early keeps limits on speed; set outputLength.minRatio, such "
    "as 0.9, or outputTokens instead of maxOutputTokens"
)
FIND_REMEDY: Final = (
    "it finds the highest rate at which the latency limits hold; set max of sla.ttft, interToken, timePerOutputToken "
    "or endToEnd"
)
FIND_RATIO_REMEDY: Final = (
    "with findMaxRate, each model runs at rates of its own, so their latencies have no ratio; set goodput.minRatio "
    "instead, or requestRate instead of findMaxRate"
)
RATE_REMEDY: Final = "goodput is never above benchmark.serving.requestRate; set a lower min or a higher requestRate"


def _with_max(name: str) -> str:
    return f"(has(self.sla.{name}) && has(self.sla.{name}.max))"


SERVING_RULES: Final[list[JsonValue]] = [
    cel(f"!{_IS_SERVED} || self.model.task == 'text-generation'", TASK_REMEDY, fieldPath=".benchmark.engine"),
    cel(f"!{_IS_SERVED} || self.output.format == 'auto'", FORMAT_REMEDY, fieldPath=".output.format"),
    *(
        cel(f"!has(self.sla.{name}) || {_IS_SERVED}", NEEDS_SERVING, fieldPath=f".sla.{name}")
        for name in SERVING_LIMITS
    ),
    *(cel(f"!has(self.sla.{name}) || !{_IS_SERVED}", GRAPH_REMEDY, fieldPath=f".sla.{name}") for name in GRAPH_LIMITS),
    cel(
        f"!has(self.sla.goodput) || {' || '.join(map(_with_max, LATENCIES))}",
        GOODPUT_REMEDY,
        fieldPath=".sla.goodput",
    ),
    cel(
        f"!{_FINDS_RATE} || {' || '.join(map(_with_max, LATENCIES))}",
        FIND_REMEDY,
        fieldPath=".benchmark.serving.findMaxRate",
    ),
    *(
        cel(
            f"!{_FINDS_RATE} || !has(self.sla.{name}) || !has(self.sla.{name}.maxRatio)",
            FIND_RATIO_REMEDY,
            fieldPath=f".sla.{name}.maxRatio",
        )
        for name in LATENCIES
    ),
    cel(
        f"!has(self.sla.outputLength) || !{_IS_SERVED} || has(self.benchmark.serving.maxOutputTokens)",
        LENGTH_REMEDY,
        fieldPath=".sla.outputLength",
    ),
]
"""Rules for the spec as a whole."""
