"""Factorize the weights of a model: SVD and NMF of matrices, Tucker and CP of convolutions."""

from typing import TYPE_CHECKING, Any, Final

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, cause
from compression_runner.methods.factorize.plan_check import check_source
from compression_runner.stages.method import MIB, Method, Need, Outcome, StageContext, always
from compressionjob.methods.factorize import Factorize

if TYPE_CHECKING:
    from compression_runner.dataset import SampleSet
    from compression_runner.methods.factorize.model import Factorizable

MAX_LISTED_LAYERS: Final = 50


def run(artifact: Artifact, parameters: Factorize, context: StageContext) -> Outcome:
    """Return the model with weights replaced by products of factors, where these are smaller."""
    samples = context.required_data.samples("calibration", artifact.path) if parameters.needs() else None
    if artifact.format == "onnx":
        return _graph(artifact, parameters, context, samples)
    return _checkpoint(artifact, parameters, context, samples)


def _graph(artifact: Artifact, parameters: Factorize, context: StageContext, samples: "SampleSet | None") -> Outcome:
    from compression_runner.calibration.sequential import UnsupportedGraph
    from compression_runner.formats.companions import copy_companions
    from compression_runner.formats.graph_weights import sizes_of_weights, skipped_details
    from compression_runner.formats.normalization import load
    from compression_runner.formats.onnx_files import save
    from compression_runner.inference.onnx_session import RUNTIME_ERRORS
    from compression_runner.methods.factorize.graph_model import GraphModel

    failures: tuple[type[Exception], ...] = (UnsupportedGraph, *RUNTIME_ERRORS)
    copy_companions(artifact, context.output)
    graph = GraphModel(load(artifact.model_file), artifact.size_bytes, samples)
    before = sizes_of_weights(graph.model)
    try:
        details = factorize(graph, parameters, context)
    except failures as error:
        problem = f"sequential calibration cannot run the graph: {cause(error)}"
        remedy = "remove activationAware, and sensitivity outputs"
        raise BadRecipe("CalibrationFailed", context.field, parameters.method, problem, remedy) from error
    save(graph.model, context.output)
    left = {name: size for name, size in sizes_of_weights(graph.model).items() if name in before}
    return Outcome(seal(context.output, "onnx", artifact.task), details | skipped_details(left))


def _checkpoint(
    artifact: Artifact, parameters: Factorize, context: StageContext, samples: "SampleSet | None"
) -> Outcome:
    from compression_runner.methods.factorize.checkpoint_model import CheckpointModel
    from compression_runner.training import model
    from compression_runner.training.probes import trace_input

    trainable = model.load_linear(artifact)
    details = factorize(CheckpointModel(trainable, samples), parameters, context)
    try:
        trainable.module(*trace_input(trainable, artifact.path).inputs)
    except LIBRARY_ERRORS as error:
        problem = f"the model does not run with factorized layers: {cause(error)}"
        remedy = "exclude the layer, or export the model to ONNX yourself and name that as the source"
        raise BadRecipe("UnsupportedModel", context.field, parameters.method, problem, remedy) from error
    return Outcome(model.save(trainable, artifact, context.output), details)


def factorize(model: "Factorizable", parameters: Factorize, context: StageContext) -> dict[str, Any]:
    """Factorize the model in place, and return details of each layer.

    Raises BadRecipe if no layer can be factorized, or the budget cannot be met.
    """
    from compression_runner.methods.factorize.planning import (
        LayerPlan,
        choose_ranks,
        decompose,
        measure_sensitivities,
        reason_to_keep,
        select_targets,
    )
    from compression_runner.methods.factorize.product import product

    selected = select_targets(model.targets(), parameters, context.field)
    kept = {target.name: reason for target in selected if (reason := reason_to_keep(target))}
    targets = [target for target in selected if target.name not in kept]
    inputs = model.inputs(targets) if parameters.activation_aware else {}
    layers = []
    for index, target in enumerate(targets):
        layers.append(LayerPlan(target, decompose(target, parameters, inputs.get(target.name))))
        context.advance(0.8 * (index + 1) / len(targets))
    if parameters.sensitivity == "outputs":
        measure_sensitivities(layers, model, product)
    choose_ranks(layers, parameters, model.size_bytes, context.field)
    factorized = [layer for layer in layers if layer.choice is not None]
    model.replace({layer.target.name: layer.factors() for layer in factorized})
    others = [
        {"name": target.name, "kind": target.kind, "kept": kept[target.name]}
        for target in selected
        if target.name in kept
    ]
    return {
        "factorized": len(factorized),
        "dense": len(selected) - len(factorized),
        "layers": [*(layer.details() for layer in layers), *others][:MAX_LISTED_LAYERS],
    }


METHOD: Final = Method(
    name="factorize",
    version=4,
    accepts=always("transformers", "torch", "onnx"),
    gives=lambda before, _parameters: "onnx" if before == "onnx" else "torch",
    run=run,
    check_source=check_source,
    libraries=("numpy", "scipy", "tensorly", "onnx", "onnx-ir", "onnxruntime", "torch", "transformers", "safetensors"),
    need=Need(200 * MIB, 2.0, 500 * MIB, 5.0),
    effort=10.0,
)
