"""Measurements of both models on a serving engine."""

from typing import Literal

from pydantic import Field

from compressionjob.estimate import Estimate
from compressionjob.report.environment import NoiseReport
from compressionjob.report.section import ReportSection


class ServedFigure(ReportSection):
    """One latency of served requests."""

    percentiles: dict[str, Estimate] = Field(default={}, description="p50, p90 and p99 with intervals, in seconds.")
    samples: list[float] = Field(
        default=[], description="Seconds, at most 1000 values evenly spread over the distribution, for the chart."
    )


class ServedRate(ReportSection):
    """Requests to one model at one rate, in the search for the highest one."""

    rate: float = Field(default=0.0, description="Requests that arrive in a second, at random.")
    requests: int = Field(default=0, description="Measured requests.")
    goodput: float = Field(default=0.0, description="Requests a second that keep every latency limit.")
    interval: Estimate | None = Field(
        default=None, description="goodput with its interval; absent for a trial, which only chooses rates."
    )
    limits: Literal["hold", "break", "open", "trial"] = Field(
        default="open", description="Whether the latency limits hold at this rate, with confidence."
    )


class ServedModel(ReportSection):
    """Measurements of one model on the serving engine."""

    latencies: dict[str, ServedFigure] = Field(default={}, description="Latencies, by the names of their limits.")
    goodput: Estimate | None = Field(
        default=None, description="Requests a second that keep every latency limit; absent without such a limit."
    )
    max_rate: Estimate | None = Field(
        default=None,
        description="findMaxRate: the highest rate of requests at which the latency limits hold, in requests a second.",
    )
    rates: list[ServedRate] = Field(default=[], description="findMaxRate: every rate that was tried.")
    requests_per_second: float = Field(default=0.0, description="Measured requests a second, with failed ones.")
    tokens_per_second: float = Field(default=0.0, description="Tokens of answers a second.")
    output_tokens: float = Field(default=0.0, description="Mean tokens of an answer.")
    energy_joules_per_token: Estimate | None = Field(
        default=None,
        description="Energy of the GPU for one token of the answers, prompts included; absent if the driver does not "
        "report it.",
    )
    in_flight: float = Field(default=0.0, description="Mean number of requests at a time.")
    failed: int = Field(default=0, description="Requests that failed. They count as unbounded latencies.")
    failures: list[str] = Field(default=[], description="Causes of failures, at most 8.")
    start_seconds: float = Field(default=0.0, description="Seconds until the server was ready.")


class ChangedTensor(ReportSection):
    """A quantized tensor that the check of the engine gave other values."""

    name: str = Field(default="", description="Tensor in the checkpoint.")
    difference: float = Field(
        default=0.0, description="Mean difference of the loss of a token that other values make, in nats."
    )


class EngineCheck(ReportSection):
    """How the engine loaded the compressed model, compared with the judged one."""

    places: int = Field(default=0, description="Compared tokens of the evaluation data.")
    difference: float = Field(
        default=0.0, description="Mean difference of the loss of a token from the judged model's, in nats."
    )
    same: float = Field(
        default=0.0, description="Share of places with the most probable token of the judged model, from 0 to 1."
    )
    scales: int = Field(default=0, description="Quantization scales of the checkpoint, all loaded.")
    changed: list[ChangedTensor] = Field(
        default=[], description="One tensor of each kind: the engine uses it, since other values change its answers."
    )


class ServingReport(ReportSection):
    """Measurements of both models on the serving engine, under the same load."""

    engine: str = Field(default="", description="Engine with its version.")
    device: str = Field(default="", description="CPU, or the name of the GPU: the engine's build is for one of them.")
    request_rate: float | None = Field(default=None, description="Requests that arrive in a second, at random.")
    concurrency: int | None = Field(default=None, description="Requests at a time.")
    find_max_rate: bool = Field(default=False, description="Whether the highest rate within the limits was searched.")
    prompt_tokens: int = Field(default=0, description="Tokens of each prompt.")
    prompts: int = Field(default=0, description="Different prompts.")
    longest_answer: int = Field(default=0, description="Most tokens of an answer.")
    exact_answers: bool = Field(default=False, description="Whether all answers have exactly so many tokens.")
    requests: int = Field(default=0, description="Measured requests to each model.")
    blocks: int = Field(default=0, description="Blocks of each model, in alternating order.")
    resident: bool = Field(default=True, description="Whether both servers ran at once; otherwise one at a time.")
    baseline: ServedModel = Field(default=ServedModel(), description="Baseline.")
    compressed: ServedModel = Field(default=ServedModel(), description="Compressed model.")
    ratios: dict[str, dict[str, Estimate]] = Field(
        default={}, description="Latency of the compressed model divided by the baseline's, by latency and percentile."
    )
    max_rate_ratio: Estimate | None = Field(
        default=None, description="findMaxRate: highest rate of the compressed model divided by the baseline's."
    )
    length_ratio: Estimate | None = Field(default=None, description="Ratio of the mean lengths of answers.")
    check: EngineCheck | None = Field(default=None, description="How the engine loaded the compressed model.")
    noise: NoiseReport | None = Field(default=None, description="Other activity on the machine during the load.")
