"""The conditions of a measurement: machine, amount, method and disturbances."""

import math
from typing import Annotated

from pydantic import Field, PlainSerializer

from compressionjob.report.section import ReportSection


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


MaybeInfinite = Annotated[float, PlainSerializer(_finite, return_type=float | None, when_used="json")]
"""A number that is null in JSON if it is not finite."""


class Machine(ReportSection):
    """The machine of a measurement."""

    cpu: str = Field(default="", description="Model of the processor.")
    instructions: list[str] = Field(
        default=[],
        description="Its instructions for products of matrices, such as avx512_vnni: integers need them to be fast.",
    )
    cpus: int | None = Field(default=None, description="CPUs of the machine.")
    usable_cpus: int | None = Field(default=None, description="CPUs that the run could use, by affinity and quota.")
    memory_bytes: int | None = Field(default=None, description="Memory of the machine.")
    kernel: str = Field(default="", description="Release of the Linux kernel.")
    architecture: str = Field(default="", description="Architecture of the processor.")


class GpuNoiseReport(ReportSection):
    """Other activity on the GPU during the measurement."""

    other_processes: int | None = Field(
        default=None, description="Largest number of other processes at once; absent where the driver lists none."
    )
    other_share: float | None = Field(
        default=None, description="Largest share of the time in which kernels of other processes may have run."
    )
    others_measured: bool = Field(
        default=True, description="Whether the driver reports how much the other processes computed."
    )
    slowed_share: float | None = Field(
        default=None, description="Largest share of the time that lower clocks may have taken."
    )
    slowed_by: list[str] = Field(default=[], description="Causes of lower clocks: thermal slowdown, power brake, ...")


class NoiseReport(ReportSection):
    """Other activity on the machine during the measurement. A key is absent where the machine does not report it."""

    steal_share: float | None = Field(default=None, description="Share of all CPU time that the hypervisor took.")
    other_share: float | None = Field(default=None, description="Share of all CPU time that other processes used.")
    lost_share: float | None = Field(
        default=None, description="Share of its time that the measurement lost to other processes and slowdowns."
    )
    load_average: float | None = Field(default=None, description="Load average over one minute, at the end.")
    throttled_periods: int | None = Field(default=None, description="Periods in which the CPU limit throttled it.")
    throttled_seconds: float | None = Field(default=None, description="Seconds for which the CPU limit throttled it.")
    frequency_ghz: float | None = Field(
        default=None,
        validation_alias="frequencyGHz",
        serialization_alias="frequencyGHz",
        description="Mean frequency of its CPUs.",
    )
    slowed_by_heat: int | None = Field(default=None, description="Number of thermal throttling events.")
    gpu: GpuNoiseReport | None = Field(default=None, description="Activity on the GPU, if models ran on one.")


class PlacementReport(ReportSection):
    """Where the nodes of one model's graph ran. A provider may run several nodes as one."""

    model: str = Field(default="", description="baseline or compressed.")
    nodes: dict[str, int] = Field(default={}, description="Number of nodes that ran, by execution provider.")
    shapes_on_cpu: dict[str, int] = Field(
        default={},
        validation_alias="shapesOnCPU",
        serialization_alias="shapesOnCPU",
        description="Nodes on the CPU by operator: they compute shapes only, and a node of another kind is refused.",
    )


class Environment(ReportSection):
    """The conditions of a measurement."""

    measured_in: str = Field(default="", description="Engine that ran both models, with its version.")
    device: str = Field(default="", description="Device that ran both models: CPU, or the name of the GPU.")
    driver: str = Field(default="", description="Version of the GPU's driver.")
    precision: str = Field(default="", description="Numeric types in which the engine computed.")
    placement: list[PlacementReport] = Field(
        default=[], description="Nodes of both graphs by execution provider; empty for engines on the CPU."
    )
    machine: Machine = Field(default=Machine(), description="The machine.")
    threads: int | None = Field(default=None, description="Threads of one inference.")
    measured_cpus: str = Field(default="", description="CPUs used by the measurement, such as 0-3,8.")
    isolation: str = Field(
        default="",
        description="Isolation of these CPUs: StaticCPUs, Node, Turns (local runs on one machine) or Shared.",
    )
    pinned: bool | None = Field(default=None, description="Whether the process was pinned to these CPUs.")
    batch_size: int | None = Field(default=None, description="Samples in one query.")
    sequence_length: int | None = Field(default=None, description="Tokens of each input; null if inputs are not cut.")
    query: str | None = Field(
        default=None, description="Content of a query; null if it is one pass over whole samples."
    )
    evaluation_samples: int | None = Field(default=None, description="Samples that quality was measured on.")
    max_abs_difference: MaybeInfinite | None = Field(
        default=None, description="Largest difference between two outputs; null if no output was finite."
    )
    scenario: str = Field(default="", description="MLPerf scenario of the latencies.")
    target_rate: float | None = Field(
        default=None, description="Server: mean number of queries that arrive in a second."
    )
    samples_per_query: int | None = Field(default=None, description="MultiStream: samples in one query.")
    queries_per_model: int | None = Field(default=None, description="Queries of each model whose latency counts.")
    blocks: int | None = Field(
        default=None, description="Number of blocks that the queries of each model were split into."
    )
    interval_confidence: float | None = Field(default=None, description="Confidence of each single interval.")
    memory_floor_bytes: int | None = Field(
        default=None, description="Memory of the measuring process before it loads a model."
    )
    noise: NoiseReport = Field(default=NoiseReport(), description="Other activity on the machine.")
    notes: list[str] = Field(default=[], description="Possible disturbances of the measurement, for people.")
    size_counts: str = Field(default="", description="Files that count for the sizes.")
    baseline_is: str = Field(default="", description="The baseline model, and the engine that ran it.")
