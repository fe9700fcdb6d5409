"""Compare the outputs of an export with those of the source model on distinct inputs."""

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
from compression_runner.inference.onnx_session import RUNTIME_ERRORS, open_session

Output = NDArray[np.generic]
# Relative to the largest output; float32 sums in another order differ by about 1e-6.
TOLERANCE: Final = 1e-4


@dataclass(frozen=True)
class OutputDifference:
    """The largest difference of the (first) outputs of two models, its limit, and the number of inputs."""

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
) -> OutputDifference:
    """Run both models on every input; `exact` disables approximations of products in the graph.

    Raises the error that `refused` makes of the problem, if the outputs differ or the graph does not run.
    """
    session = _session(graph, refused, exact)

    def answer(tensors: Probe) -> Sequence[Output]:
        return _run(session, interface, tensors, refused)

    return compare_outputs(source, answer, interface, inputs, tolerance, refused)


def compare_outputs(
    source: torch.nn.Module,
    answer: Callable[[Probe], Sequence[Output]],
    interface: Interface,
    inputs: Sequence[Probe],
    tolerance: float = TOLERANCE,
    refused: Callable[[str], BadRecipe] = _refused,
) -> OutputDifference:
    """Compare as in `compare`, with outputs that `answer` computes instead of a graph."""
    max_difference, max_output = [0.0] * len(interface.outputs), [1.0] * len(interface.outputs)
    for tensors in inputs:
        outputs = _outputs(source, tensors, refused)
        references = [tensor.numpy() for tensor in (outputs if isinstance(outputs, tuple) else (outputs,))]
        for index, (got, expected) in enumerate(zip(answer(tensors), references, strict=True)):
            if got.shape != expected.shape or not np.isfinite(got).all():
                shapes = f"outputs of shape {got.shape} (expected {expected.shape}) or not finite"
                raise refused(f"{shapes} for an input of {tuple(tensors[0].shape)}")
            max_difference[index] = max(max_difference[index], float(np.abs(got - expected).max(initial=0.0)))
            max_output[index] = max(max_output[index], float(np.abs(expected).max(initial=0.0)))
    for name, difference, largest in zip(interface.outputs, max_difference, max_output, strict=True):
        if difference > tolerance * largest:
            raise refused(f"outputs {name} differ by up to {difference:.3g}; the limit is {tolerance * largest:.3g}")
    return OutputDifference(len(inputs), max_difference[0], tolerance * max_output[0])


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


def _run(session: Any, interface: Interface, tensors: Probe, refused: Callable[[str], BadRecipe]) -> Sequence[Output]:
    feed = dict(zip(interface.inputs, (tensor.numpy() for tensor in tensors), strict=True))
    names = {node.name for node in session.get_inputs()}
    try:
        # A graph has no unused inputs.
        outputs: list[Output] = session.run(
            list(interface.outputs), {name: value for name, value in feed.items() if name in names}
        )
    except RUNTIME_ERRORS as error:
        raise refused(f"it does not run on an input of another size: {error}") from error
    return outputs
