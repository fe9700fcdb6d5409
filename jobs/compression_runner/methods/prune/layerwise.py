"""Prune layer by layer: by calibration data, or in the 2:4 pattern."""

from collections.abc import Mapping
from typing import Any, Final

import onnx
import torch
from onnx import numpy_helper

from compression_runner.artifact import Artifact, seal
from compression_runner.calibration.inverse import NotInvertible
from compression_runner.calibration.sequential import UnsupportedGraph
from compression_runner.errors import BadRecipe, cause
from compression_runner.formats.companions import copy_companions
from compression_runner.formats.export import plain_graph
from compression_runner.formats.normalization import load
from compression_runner.formats.onnx_files import save
from compression_runner.inference.onnx_session import RUNTIME_ERRORS
from compression_runner.methods.prune import calibrated, two_of_four
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.prune import CALIBRATED, Prune

FAILURES: Final[tuple[type[Exception], ...]] = (UnsupportedGraph, *RUNTIME_ERRORS)


def prune_layers(artifact: Artifact, parameters: Prune, context: StageContext) -> Outcome:
    """Return the model with pruned layers.

    Raises BadRecipe if the pattern does not fit a layer, there is no layer, or the calibration fails.
    """
    if artifact.format == "onnx":
        return _graph(artifact, parameters, context)
    return _checkpoint(artifact, parameters, context)


def _graph(artifact: Artifact, parameters: Prune, context: StageContext) -> Outcome:
    copy_companions(artifact, context.output)
    model = load(artifact.model_file)
    if parameters.method in CALIBRATED:
        details = _calibrated(model, artifact, parameters, context)
    else:
        details = two_of_four.prune_graph(model, calibrated.prunable(model, parameters, context.field), context.field)
    _require_some(details, parameters, context)
    save(model, context.output)
    return Outcome(seal(context.output, "onnx", artifact.task), details)


def _checkpoint(artifact: Artifact, parameters: Prune, context: StageContext) -> Outcome:
    from compression_runner.training import model

    if parameters.method in CALIBRATED:
        graph, trained = plain_graph(artifact)
        details = _calibrated(graph, artifact, parameters, context, trained)
        trainable = model.load(artifact)
        _copy_parameters(graph, trained, trainable.inner)
    else:
        trainable = model.load_linear(artifact)
        details = two_of_four.prune_modules(trainable.inner, parameters, context.field)
    _require_some(details, parameters, context)
    return Outcome(model.save(trainable, artifact, context.output), details)


def _calibrated(
    graph: onnx.ModelProto,
    artifact: Artifact,
    parameters: Prune,
    context: StageContext,
    trained: frozenset[str] | None = None,
) -> Mapping[str, Any]:
    selected = calibrated.prunable(graph, parameters, context.field, trained)
    if parameters.pattern == "2:4":
        selected.require_fit(context.field)
    samples = context.required_data.samples("calibration", artifact.path)
    try:
        return calibrated.prune(graph, selected, parameters, samples, context.advance)
    except NotInvertible as error:
        remedy = "use method wanda or magnitude, or other calibration data"
        raise BadRecipe("CalibrationFailed", context.field, parameters.method, error.problem, remedy) from error
    except FAILURES as error:
        problem = f"sequential calibration cannot run the graph: {cause(error)}"
        remedy = "use method magnitude"
        raise BadRecipe("CalibrationFailed", context.field, parameters.method, problem, remedy) from error


def _copy_parameters(graph: onnx.ModelProto, trained: frozenset[str], model: torch.nn.Module) -> None:
    """Copy the parameters of the plain graph to the model."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for tensor in graph.graph.initializer:
            if tensor.name in trained:
                parameters[tensor.name].copy_(torch.from_numpy(numpy_helper.to_array(tensor).copy()))


def _require_some(details: Mapping[str, Any], parameters: Prune, context: StageContext) -> None:
    if not details["tensors"]:
        problem = "the model has no linear layers or convolutions with constant float weights"
        raise BadRecipe("NothingToPrune", context.field, parameters.method, problem, "remove the stage")
