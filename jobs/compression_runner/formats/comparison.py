"""An export counts only after its outputs were compared with the source model's on distinct inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, cause
from compression_runner.formats.probes import Probe
from compression_runner.formats.task_module import Interface
from compression_runner.inference.session import RUNTIME_ERRORS, open_session

Answer = NDArray[np.generic]
# Relative to the largest output; float32 in another order of additions differs by some 1e-6.
TOLERANCE: Final = 1e-4


@dataclass(frozen=True)
class Comparison:
    """How far two models' (first) outputs are apart at most, and on how many inputs that was seen."""

    inputs: int
    max_abs_difference: float
    limit: float


def _refused(problem: str) -> BadRecipe:
    remedy = "export the model to ONNX yourself, and name that as the source"
    return BadRecipe("ExportDiffers", "spec.model.source", "export to ONNX", problem, remedy)


def compare(
    source: torch.nn.Module,
    graph: Path,
    interface: Interface,
    inputs: Sequence[Probe],
    tolerance: float = TOLERANCE,
    refused: Callable[[str], BadRecipe] = _refused,
    exact: bool = False,
) -> Comparison:
    """Runs both models on every input, the graph with `exact` products where it is so asked.

    Raises what `refused` makes of the largest difference where they disagree, or where the graph does not run.
    """
    session = _session(graph, refused, exact)

    def answer(tensors: Probe) -> Sequence[Answer]:
        return _run(session, interface, tensors, refused)

    return compare_answers(source, answer, interface, inputs, tolerance, refused)


def compare_answers(
    source: torch.nn.Module,
    answer: Callable[[Probe], Sequence[Answer]],
    interface: Interface,
    inputs: Sequence[Probe],
    tolerance: float = TOLERANCE,
    refused: Callable[[str], BadRecipe] = _refused,
) -> Comparison:
    """As `compare`, with whatever `answer` runs in the place of a graph."""
    worst, scale = [0.0] * len(interface.outputs), [1.0] * len(interface.outputs)
    for tensors in inputs:
        outputs = _outputs(source, tensors, refused)
        found = answer(tensors)
        answers = [tensor.numpy() for tensor in (outputs if isinstance(outputs, tuple) else (outputs,))]
        for index, (got, expected) in enumerate(zip(found, answers, strict=True)):
            if got.shape != expected.shape or not np.isfinite(got).all():
                shapes = f"outputs of shape {got.shape} (expected {expected.shape}) or not finite"
                raise refused(f"{shapes} for an input of {tuple(tensors[0].shape)}")
            worst[index] = max(worst[index], float(np.abs(got - expected).max(initial=0.0)))
            scale[index] = max(scale[index], float(np.abs(expected).max(initial=0.0)))
    for name, apart, largest in zip(interface.outputs, worst, scale, strict=True):
        if apart > tolerance * largest:
            raise refused(f"outputs {name} differ by up to {apart:.3g}, allowed are {tolerance * largest:.3g}")
    return Comparison(len(inputs), worst[0], tolerance * scale[0])


def _outputs(source: torch.nn.Module, tensors: Probe, refused: Callable[[str], BadRecipe]) -> Any:
    try:
        with torch.no_grad():
            return source(*tensors)
    except LIBRARY_ERRORS as error:
        shape = tuple(tensors[0].shape)
        raise refused(f"the model itself does not run on an input of {shape}: {cause(error)}") from error


def _session(graph: Path, refused: Callable[[str], BadRecipe], exact: bool) -> Any:
    try:
        return open_session(graph, exact)
    except RUNTIME_ERRORS as error:
        raise refused(f"onnxruntime does not load it: {error}") from error


def _run(session: Any, interface: Interface, tensors: Probe, refused: Callable[[str], BadRecipe]) -> Sequence[Answer]:
    feed = dict(zip(interface.inputs, (tensor.numpy() for tensor in tensors), strict=True))
    names = {node.name for node in session.get_inputs()}
    try:
        # An input that the model does not use is not part of the graph.
        found: list[Answer] = session.run(
            list(interface.outputs), {name: value for name, value in feed.items() if name in names}
        )
    except RUNTIME_ERRORS as error:
        raise refused(f"it does not run on an input of another size: {error}") from error
    return found
