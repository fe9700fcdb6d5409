"""The device that runs both models: the nodes of their graphs on it, its name and driver, its noise and energy."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from compression_runner.errors import BadRecipe, InvalidInput, RunnerError
from compression_runner.evaluation.machine.energy import GpuEnergyMeter, Meter, energy_meter
from compression_runner.evaluation.machine.gpu_noise import read_gpu
from compression_runner.evaluation.machine.noise import Reading, read_noise
from compression_runner.gpu.card import Card, open_card
from compression_runner.inference.placement import Placement
from compression_runner.inference.predictor import (
    OTHER_STAGE,
    SOURCE_MODEL,
    Engine,
    Feed,
    ModelOrigin,
    Predictor,
    is_torch,
)
from compression_runner.inference.providers import PROVIDERS
from compressionjob.engines import GPU_ENGINES, ProviderEngine
from compressionjob.report import Environment, PlacementReport

CPU: Final = "CPU"
CPU_PRECISION: Final = {
    "onnxruntime": "the types of the graph",
    "openvino": "the types of the graph, floating point in float32",
}
"""Engine on the CPU -> the precision in which it computes."""
NO_DRIVER: Final = "the GPU's driver was not read: other processes on the GPU and lower clocks are unknown"
ASSIGNED: Final = "NVIDIA_VISIBLE_DEVICES"
"""The variable in which a device plugin passes the UUIDs of a pod's GPUs or MIG instances."""
CUDA_PRECISION: Final = "; convolutions of float32 may use TF32, as by PyTorch's default"


class Execution:
    """The device of both models. Nothing of a figure for a GPU was computed on the CPU: `require_on_device`."""

    def __init__(self, engine: Engine, card: Card | None = None) -> None:
        """`card` is the driver's view of the GPU; None on the CPU, or without NVIDIA's library."""
        self._engine, self._card = engine, card
        self._placements: list[tuple[str, Placement]] = []
        self._precisions: list[str] = []

    def require_on_device(self, predictors: Sequence[Predictor], feeds: Sequence[Feed], origin: ModelOrigin) -> None:
        """Run both models once, and check where their nodes ran; `origin` is that of the compressed model.

        Raises InvalidInput for a baseline and BadRecipe for a compressed model that the provider does not run whole.
        """
        self._precisions = [predictor.precision for predictor in predictors]
        if self._engine not in PROVIDERS:
            return  # PyTorch moves no operator to another device
        for name, side, predictor, feed in zip(
            ("baseline", "compressed"), (SOURCE_MODEL, origin), predictors, feeds, strict=True
        ):
            placement = predictor.placement(feed)
            if placement is None:
                raise ValueError(f"{self._engine}: the placement of the {name} model is unknown")
            self._placements.append((name, placement))
            problem = placement.problem(PROVIDERS[_gpu(self._engine)].name)
            if problem:
                raise _partial(self._engine, name, side, problem)

    @property
    def gpu(self) -> str:
        """The UUID of the GPU; empty on the CPU, or without NVIDIA's library."""
        return self._card.uuid if self._card else ""

    def read_noise(self) -> Reading:
        """Read the counters of the machine, and of the GPU if there is one."""
        reading = read_noise()
        return reading if self._card is None else replace(reading, gpu=read_gpu(self._card, {os.getpid()}))

    def energy_meter(self) -> Meter | None:
        """Return a meter of the device; None if this process cannot read one."""
        if self._engine not in GPU_ENGINES:
            return energy_meter()
        return GpuEnergyMeter(self._card) if self._card and self._card.joules() is not None else None

    def described_in(self, environment: Environment) -> Environment:
        """Add the device to the conditions of a measurement."""
        added: dict[str, Any] = {"device": CPU}
        if self._engine in GPU_ENGINES:
            added["device"] = (self._card and self._card.name) or "GPU"
            if self._card and self._card.driver:
                added["driver"] = self._card.driver
            if self._card is None:
                added["notes"] = [*environment.notes, NO_DRIVER]
        if self._engine in PROVIDERS:
            provider = PROVIDERS[_gpu(self._engine)]
            added["measured_in"] = f"{environment.measured_in} ({provider.name})"
            added["placement"] = [
                PlacementReport(model=name, nodes=dict(placement.nodes), shapes_on_cpu=dict(placement.shapes))
                for name, placement in self._placements
            ]
        added["precision"] = self._precision()
        return environment.model_copy(update=added)

    def _precision(self) -> str:
        if is_torch(self._engine):
            return _types(self._precisions) + (CUDA_PRECISION if self._engine in GPU_ENGINES else "")
        if self._engine in PROVIDERS:
            return PROVIDERS[_gpu(self._engine)].precision
        return CPU_PRECISION[self._engine]


@contextmanager
def execution_in(engine: Engine) -> Iterator[Execution]:
    """Open the device of an engine."""
    with measuring_gpu(wanted=engine in GPU_ENGINES) as card:
        yield Execution(engine, card)


@contextmanager
def measuring_gpu(*, wanted: bool) -> Iterator[Card | None]:
    """Open the driver's view of the GPU that engines use; None if it is not wanted, or without NVIDIA's library."""
    card = _first_gpu() if wanted else None
    try:
        yield card
    finally:
        if card is not None:
            card.close()


def _first_gpu() -> Card | None:
    """Return the GPU that engines use: the first one that this process sees."""
    import torch

    if torch.cuda.is_available():
        return open_card(str(torch.cuda.get_device_properties(0).uuid))
    # The runner's torch may be built for CPUs beside a serving engine that is built for GPUs.
    return open_card(os.environ.get(ASSIGNED, "").split(",")[0])


def _gpu(engine: Engine) -> ProviderEngine:
    if engine == "onnxruntime-cuda" or engine == "onnxruntime-tensorrt":
        return engine
    raise ValueError(f"{engine} is no execution provider")


def _types(precisions: Sequence[str]) -> str:
    """Return the types of both models' weights in words."""
    before, after = precisions
    of_each = before if before == after else f"{before} (baseline) and {after} (compressed)"
    return f"the types of the weights: {of_each}"


def _partial(engine: Engine, name: str, origin: ModelOrigin, problem: str) -> RunnerError:
    problem = f"{problem}; this is not a measurement of the {name} model on a GPU"
    if origin.compressed:
        return BadRecipe("PartialPlacement", origin.field, engine, problem, OTHER_STAGE)
    remedy = "give a model whose operators the provider has, or leave engine out to measure on the CPU"
    return InvalidInput("PartialPlacement", "spec.benchmark.engine", engine, problem, remedy)
