"""The conditions of a measurement: where, how much and how it was measured, and what disturbed it."""

import math
from typing import Annotated

from pydantic import Field, PlainSerializer

from compressionjob.report.section import ReportSection


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


MaybeInfinite = Annotated[float, PlainSerializer(_finite, return_type=float | None, when_used="json")]
"""A number that is null in JSON, which has no infinity, where it is not finite."""


class Machine(ReportSection):
    """What the measurement ran on."""

    cpu: str = Field(default="", description="Model of the processor.")
    cpus: int | None = Field(default=None, description="CPUs of the machine.")
    usable_cpus: int | None = Field(default=None, description="CPUs that the run could use: affinity and quota.")
    memory_bytes: int | None = Field(default=None, description="Memory of the machine.")
    kernel: str = Field(default="", description="Release of the Linux kernel.")
    architecture: str = Field(default="", description="Architecture of the processor.")


class NoiseReport(ReportSection):
    """What else happened on the machine during the measurement; a key is absent where the machine does not count it."""

    steal_share: float | None = Field(default=None, description="Share of all CPU time that the hypervisor took.")
    other_share: float | None = Field(default=None, description="Share of all CPU time of other processes.")
    lost_share: float | None = Field(default=None, description="Share of its time that the measurement lost to others.")
    load_average: float | None = Field(default=None, description="Load average over one minute, at the end.")
    throttled_periods: int | None = Field(default=None, description="Periods in which the CPU limit throttled it.")
    throttled_seconds: float | None = Field(default=None, description="Seconds for which the CPU limit throttled it.")
    frequency_ghz: float | None = Field(
        default=None,
        validation_alias="frequencyGHz",
        serialization_alias="frequencyGHz",
        description="Mean frequency of its CPUs.",
    )
    slowed_by_heat: int | None = Field(default=None, description="How often heat made a CPU slower.")


class Environment(ReportSection):
    """The conditions of a measurement."""

    measured_in: str = Field(default="", description="Engine that ran both models, with its version.")
    machine: Machine = Field(default=Machine(), description="The machine.")
    threads: int | None = Field(default=None, description="Threads of one inference.")
    measured_cpus: str = Field(default="", description="CPUs that were measured with, such as 0-3,8.")
    isolation: str = Field(
        default="",
        description="What kept others off these CPUs: StaticCPUs, Node, Turns (local runs on one machine) or Shared.",
    )
    pinned: bool | None = Field(default=None, description="Whether the process was pinned to these CPUs.")
    batch_size: int | None = Field(default=None, description="Samples in one query.")
    sequence_length: int | None = Field(default=None, description="Tokens of each input; null where nothing is cut.")
    query: str | None = Field(
        default=None, description="What one query is; null where it is one pass over whole samples."
    )
    evaluation_samples: int | None = Field(default=None, description="Samples that quality was measured on.")
    max_abs_difference: MaybeInfinite | None = Field(
        default=None, description="Largest difference between two outputs; null where no output was finite."
    )
    scenario: str = Field(default="", description="MLPerf scenario of the latencies.")
    target_rate: float | None = Field(default=None, description="Server: queries that arrive in a second.")
    samples_per_query: int | None = Field(default=None, description="MultiStream: samples in one query.")
    queries_per_model: int | None = Field(default=None, description="Queries whose latency counts.")
    blocks: int | None = Field(default=None, description="Blocks that the queries of each model ran in.")
    interval_confidence: float | None = Field(default=None, description="Confidence of each single interval.")
    memory_floor_bytes: int | None = Field(
        default=None, description="Memory of the measuring process before it loads a model."
    )
    noise: NoiseReport = Field(default=NoiseReport(), description="What else happened on the machine.")
    notes: list[str] = Field(default=[], description="What may have disturbed the measurement, for people.")
    size_counts: str = Field(default="", description="Which files the sizes count.")
    baseline_is: str = Field(default="", description="Which model the baseline is, and the engine that ran it.")
