"""From a Transformers directory to an ONNX graph that is known to give the same answers."""

import gc
import io
import logging
import math
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx
import torch

from compression_runner import garbage_collection
from compression_runner.artifact import Artifact
from compression_runner.dataset.writing import DECODER
from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, cause
from compression_runner.formats import float8_checkpoint
from compression_runner.formats.comparison import TOLERANCE, Comparison, compare
from compression_runner.formats.decoder import decoder, decoder_probes, dynamic_shapes
from compression_runner.formats.onnx_files import forget_origin, save
from compression_runner.formats.probes import Probe, probes
from compression_runner.formats.signals import SIGNALS
from compression_runner.formats.task_module import Interface, wrap
from compression_runner.formats.transformers_model import load_model, sequence_length_limit

OPSET: Final = 20
MAX_BATCH: Final = 4096
EXPORT_ERRORS: Final[tuple[type[Exception], ...]] = (torch.onnx.OnnxExporterError, *LIBRARY_ERRORS)
INNER: Final = "model."
"""What the names of a Transformers model begin with inside of the module that is exported."""


def export(artifact: Artifact, into: Path) -> Comparison:
    """Writes `model.onnx` with free batch and sequence axes into `into`.

    Raises BadRecipe where torch cannot export the model or the result's outputs differ from the source's. Of a model
    that rounds within, all else is compared, and what rounds is seen to run.
    """
    taken = take(artifact)
    with float8_checkpoint.exactly(taken.module) as rounds:
        compared = _write(taken, into)
    if rounds:
        _write(taken, into, tolerance=math.inf)
    return compared


def _write(taken: "Exportable", into: Path, tolerance: float = TOLERANCE) -> Comparison:
    with garbage_collection.paused():
        graph = _export(taken.module, taken.interface, taken.inputs[0], taken.axes)
        path = save(graph, into)
    del graph
    gc.collect()
    return compare(taken.module, path, taken.interface, taken.inputs, tolerance)


@dataclass(frozen=True)
class Exportable:
    """A task's module, the names of what goes in and out, inputs to try it with, and which axes are free."""

    module: torch.nn.Module
    interface: Interface
    inputs: Sequence[Probe]
    axes: tuple[Any, ...]


def take(artifact: Artifact) -> Exportable:
    """A model ready to be exported, in whatever way.

    Raises BadRecipe where it does not run on a trial input.
    """
    model = load_model(artifact.path, artifact.task)
    longest = sequence_length_limit(model)
    module: torch.nn.Module
    if artifact.task == "text-generation":
        try:
            module, interface = decoding, _ = decoder(model)
            inputs, axes = decoder_probes(decoding, longest), dynamic_shapes(interface, longest)
        except LIBRARY_ERRORS as error:
            problem = f"the model does not run on a trial input: {cause(error)}"
            remedy = "export the model to ONNX yourself, and name that as the source"
            raise BadRecipe("UnsupportedModel", "spec.model.source", "export to ONNX", problem, remedy) from error
    else:
        module, interface = wrap(model, artifact.path, artifact.task)
        inputs = probes(model, artifact.path, interface)
        axes = _axes(interface, inputs, longest)
    return Exportable(module, interface, inputs, axes)


def plain_graph(artifact: Artifact) -> tuple[onnx.ModelProto, frozenset[str]]:
    """The graph as torch writes it, nothing folded or turned, and the names of its initializers that are parameters:
    each has the name, shape and values that it has in the model, and is there once, however many names it has.

    It is to look at a model with, not to publish: its answers are compared with nothing. Raises BadRecipe where torch
    cannot export the model.
    """
    taken = take(artifact)
    graph = _export(taken.module, taken.interface, taken.inputs[0], taken.axes, optimize=False)
    first: dict[int, str] = {}
    names = {
        name: first.setdefault(id(parameter), name.removeprefix(INNER))
        for name, parameter in taken.module.named_parameters(remove_duplicate=False)
    }
    for node in graph.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    initializers = {names.get(tensor.name, tensor.name): tensor for tensor in graph.graph.initializer}
    for name, tensor in initializers.items():
        tensor.name = name
    kept = list(initializers.values())
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    return graph, frozenset(first.values()).intersection(initializers)


def graph_of(module: torch.nn.Module, model: torch.nn.Module, path: Path, interface: Interface) -> onnx.ModelProto:
    """The graph of a task's module around `model`; who calls it compares the answers.

    Raises BadRecipe where torch cannot export the module.
    """
    inputs = probes(model, path, interface)
    return _export(module, interface, inputs[0], _axes(interface, inputs, sequence_length_limit(model)))


def _axes(interface: Interface, inputs: Sequence[Probe], longest: int) -> tuple[Any, ...]:
    """The free axes of the inputs, as the module's one argument of many tensors has them."""
    axes: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)}
    if interface.inputs[0] not in SIGNALS:
        axes[1] = torch.export.Dim("sequence", min=2, max=longest)
    elif len({tuple(tensors[0].shape[1:]) for tensors in inputs}) > 1:
        # How short a recording may be follows from the model's convolutions: torch finds out.
        axes[1] = torch.export.Dim.DYNAMIC
    batch = axes[0]
    decoder = {0: batch, 1: torch.export.Dim.DYNAMIC}
    return (tuple(decoder if name == DECODER else axes for name in interface.inputs),)


def _export(
    module: torch.nn.Module, interface: Interface, example: Probe, axes: tuple[Any, ...], *, optimize: bool = True
) -> onnx.ModelProto:
    # The exporter prints its steps and warns about itself; what matters is whether the outputs agree.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                module,
                example,
                dynamo=True,
                input_names=list(interface.inputs),
                output_names=list(interface.outputs),
                dynamic_shapes=axes,
                opset_version=OPSET,
                optimize=optimize,
                verbose=False,
            )
        except EXPORT_ERRORS as error:
            problem, remedy = f"torch cannot export the model: {cause(error)}", "export it to ONNX yourself"
            raise BadRecipe("ExportFailed", "spec.model.source", "export to ONNX", problem, remedy) from error
    if program is None:
        raise BadRecipe("ExportFailed", "spec.model.source", "export to ONNX", "torch gave no program", "report this")
    model = program.model_proto
    forget_origin(model)
    return model
