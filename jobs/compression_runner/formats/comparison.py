"""An export counts only after its outputs were compared with the source model's on distinct inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from compression_runner.errors import BadRecipe
from compression_runner.formats.probes import Probe
from compression_runner.formats.session import RUNTIME_ERRORS, open_session
from compression_runner.formats.task_module import Interface

# Relative to the largest output; float32 in another order of additions differs by some 1e-6.
TOLERANCE: Final = 1e-4


@dataclass(frozen=True)
class Comparison:
    """How far two models' (first) outputs are apart at most, and on how many inputs that was seen."""

    inputs: int
    max_abs_difference: float
    limit: float


def compare(source: torch.nn.Module, graph: Path, interface: Interface, inputs: Sequence[Probe]) -> Comparison:
    """Runs both models on every input.

    Raises BadRecipe with the largest difference where they disagree, or where the graph does not run.
    """
    session = _session(graph)
    worst, scale = [0.0] * len(interface.outputs), [1.0] * len(interface.outputs)
    for tensors in inputs:
        with torch.no_grad():
            outputs = source(*tensors)
        feed = dict(zip(interface.inputs, (tensor.numpy() for tensor in tensors), strict=True))
        found = _run(session, interface, feed)
        answers = [tensor.numpy() for tensor in (outputs if isinstance(outputs, tuple) else (outputs,))]
        for index, (got, expected) in enumerate(zip(found, answers, strict=True)):
            if got.shape != expected.shape or not np.isfinite(got).all():
                shapes = f"outputs of shape {got.shape} (expected {expected.shape}) or not finite"
                raise _refused(f"{shapes} for an input of {tuple(tensors[0].shape)}")
            worst[index] = max(worst[index], float(np.abs(got - expected).max(initial=0.0)))
            scale[index] = max(scale[index], float(np.abs(expected).max(initial=0.0)))
    for name, apart, largest in zip(interface.outputs, worst, scale, strict=True):
        if apart > TOLERANCE * largest:
            raise _refused(f"outputs {name} differ by up to {apart:.3g}, allowed are {TOLERANCE * largest:.3g}")
    return Comparison(len(inputs), worst[0], TOLERANCE * scale[0])


def _session(graph: Path) -> Any:
    try:
        return open_session(graph)
    except RUNTIME_ERRORS as error:
        raise _refused(f"onnxruntime does not load it: {error}") from error


def _run(session: Any, interface: Interface, feed: dict[str, Any]) -> Any:
    names = {node.name for node in session.get_inputs()}
    try:
        # An input that the model does not use is not part of the graph.
        return session.run(list(interface.outputs), {name: value for name, value in feed.items() if name in names})
    except RUNTIME_ERRORS as error:
        raise _refused(f"it does not run on an input of another size: {error}") from error


def _refused(problem: str) -> BadRecipe:
    remedy = "export the model to ONNX yourself, and name that as the source"
    return BadRecipe("ExportDiffers", "spec.model.source", "export to ONNX", problem, remedy)
