"""Export a Transformers directory to ONNX, and check that the outputs are equal."""

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
from compression_runner.dataset.generation import DECODER
from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, cause
from compression_runner.formats import input_rounding
from compression_runner.formats.comparison import TOLERANCE, OutputDifference, compare
from compression_runner.formats.decoder import decoder, decoder_probes, dynamic_shapes
from compression_runner.formats.onnx_files import save, strip_metadata
from compression_runner.formats.probes import Probe, probes
from compression_runner.formats.signals import SIGNALS
from compression_runner.formats.task_module import Interface, wrap
from compression_runner.formats.transformers_model import load_model, sequence_length_limit
from compressionjob.tasks import Task

OPSET: Final = 20
MAX_BATCH: Final = 4096
EXPORT_ERRORS: Final[tuple[type[Exception], ...]] = (torch.onnx.OnnxExporterError, *LIBRARY_ERRORS)
INNER: Final = "model."
"""Prefix of the names of a Transformers model inside the exported module."""


def export(artifact: Artifact, into: Path) -> OutputDifference:
    """Write `model.onnx` with free batch and sequence axes to `into`.

    Raises BadRecipe if torch cannot export the model, or if the outputs differ from those of the source. For a model
    that rounds activations, the comparison runs without rounding; the graph with rounding is only run.
    """
    exportable = load_exportable(artifact)
    with input_rounding.without_rounding(exportable.module) as rounds:
        compared = _write(exportable, into)
    if rounds:
        _write(exportable, into, tolerance=math.inf)
    return compared


def _write(exportable: "Exportable", into: Path, tolerance: float = TOLERANCE) -> OutputDifference:
    with garbage_collection.paused():
        graph = _export(exportable.module, exportable.interface, exportable.inputs[0], exportable.axes)
        path = save(graph, into)
    del graph
    gc.collect()
    return compare(exportable.module, path, exportable.interface, exportable.inputs, tolerance)


@dataclass(frozen=True)
class Exportable:
    """The module of a task, the names of its inputs and outputs, example inputs, and its free axes."""

    module: torch.nn.Module
    interface: Interface
    inputs: Sequence[Probe]
    axes: tuple[Any, ...]


def load_exportable(artifact: Artifact) -> Exportable:
    """Load a model for an export in any format.

    Raises BadRecipe if it does not run on an example input.
    """
    return exportable_of(load_model(artifact.path, artifact.task), artifact.path, artifact.task)


def exportable_of(model: torch.nn.Module, path: Path, task: Task) -> Exportable:
    """Return the module of a task around a loaded model.

    Raises BadRecipe if it does not run on an example input.
    """
    longest = sequence_length_limit(model)
    module: torch.nn.Module
    if task == "text-generation":
        try:
            module, interface = decoding, _ = decoder(model)
            inputs, axes = decoder_probes(decoding, longest), dynamic_shapes(interface, longest)
        except LIBRARY_ERRORS as error:
            problem = f"the model does not run on an example input: {cause(error)}"
            remedy = "export the model to ONNX yourself, and name that as the source"
            raise BadRecipe("UnsupportedModel", "spec.model.source", "export to ONNX", problem, remedy) from error
    else:
        module, interface = wrap(model, path, task)
        inputs = probes(model, path, interface)
        axes = _axes(interface, inputs, longest)
    return Exportable(module, interface, inputs, axes)


def plain_graph(artifact: Artifact) -> tuple[onnx.ModelProto, frozenset[str]]:
    """Return the graph of torch without optimization, and the names of the initializers that are parameters.

    Each parameter has its name, shape and values of the model; a parameter with several names is stored once. The graph
    is for calibration only: its outputs are not checked. Raises BadRecipe if torch cannot export the model.
    """
    exportable = load_exportable(artifact)
    graph = _export(exportable.module, exportable.interface, exportable.inputs[0], exportable.axes, optimize=False)
    first: dict[int, str] = {}
    names = {
        name: first.setdefault(id(parameter), name.removeprefix(INNER))
        for name, parameter in exportable.module.named_parameters(remove_duplicate=False)
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
    """Return the graph of a task module around `model`; the caller compares the outputs.

    Raises BadRecipe if torch cannot export the module.
    """
    inputs = probes(model, path, interface)
    return _export(module, interface, inputs[0], _axes(interface, inputs, sequence_length_limit(model)))


def _axes(interface: Interface, inputs: Sequence[Probe], longest: int) -> tuple[Any, ...]:
    """Return the free axes of the inputs, for the single variadic argument of the module."""
    axes: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)}
    if interface.inputs[0] not in SIGNALS:
        axes[1] = torch.export.Dim("sequence", min=2, max=longest)
    elif len({tuple(tensors[0].shape[1:]) for tensors in inputs}) > 1:
        # The convolutions of the model determine the shortest recording; torch infers it.
        axes[1] = torch.export.Dim.DYNAMIC
    batch = axes[0]
    decoder = {0: batch, 1: torch.export.Dim.DYNAMIC}
    return (tuple(decoder if name == DECODER else axes for name in interface.inputs),)


def _export(
    module: torch.nn.Module, interface: Interface, example: Probe, axes: tuple[Any, ...], *, optimize: bool = True
) -> onnx.ModelProto:
    # The exporter prints its steps and warnings about itself; the comparison of outputs decides.
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
        raise BadRecipe(
            "ExportFailed", "spec.model.source", "export to ONNX", "torch returned no program", "report this"
        )
    model = program.model_proto
    strip_metadata(model)
    return model
