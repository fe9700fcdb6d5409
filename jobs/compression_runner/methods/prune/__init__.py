"""Prune weights by magnitude or by calibration data, unstructured or 2:4; or prune whole structures."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from compression_runner.artifact import Artifact, Format, seal
from compression_runner.errors import BadRecipe
from compression_runner.methods.prune.plan_check import check_source, keeps_shapes
from compression_runner.stages.method import MIB, Formats, Method, Need, Outcome, StageContext
from compressionjob.methods.prune import Prune

if TYPE_CHECKING:
    import torch

    from compression_runner.methods.prune.magnitude import Floats, Threshold


def run(artifact: Artifact, parameters: Prune, context: StageContext) -> Outcome:
    """Return the model with the requested fraction of weights at zero, or without the pruned structures."""
    from compression_runner.formats.companions import copy_companions

    if parameters.method == "structured":
        return _prune_structures(artifact, parameters, context)
    if parameters.method != "magnitude" or parameters.pattern != "unstructured":
        from compression_runner.methods.prune.layerwise import prune_layers

        return prune_layers(artifact, parameters, context)
    copy_companions(artifact, context.output)
    prune = _prune_onnx if artifact.format == "onnx" else _prune_transformers
    details = prune(artifact, parameters, context)
    return Outcome(seal(context.output, artifact.format, artifact.task), details)


def _prune_structures(artifact: Artifact, parameters: Prune, context: StageContext) -> Outcome:
    from compression_runner.formats.surgery import Surgery
    from compression_runner.methods.prune import structured
    from compression_runner.methods.prune.run_check import require_running
    from compression_runner.training import model
    from compression_runner.training.holdout import batches_for_task
    from compression_runner.training.probes import trace_input

    trainable = model.load_linear(artifact)
    before = sum(parameter.numel() for parameter in trainable.module.parameters())
    share, field = parameters.sparsity, context.field
    details: dict[str, Any] = {"structure": parameters.structure}
    if parameters.structure == "layers":
        samples = context.required_data.samples("calibration", artifact.path)
        batches = batches_for_task(samples, trainable.interface.inputs, artifact.task)
        trainable, details["removedLayers"] = structured.prune_layers(trainable, share, batches, field)
    else:
        changes = trainable.changes or Surgery()
        example = trace_input(trainable, artifact.path)
        if parameters.structure == "channels":
            everywhere = parameters.effective_scope == "global"
            structured.prune_channels(trainable, share, example, scope_global=everywhere, field=field)
        elif parameters.structure == "neurons":
            structured.prune_neurons(trainable, share, example, field)
        else:
            changes = changes.with_attributes(structured.prune_heads(trainable, share, field))
        trainable.changes = changes
    after = sum(parameter.numel() for parameter in trainable.module.parameters())
    details |= {"parametersBefore": before, "parameters": after}
    pruned = model.save(trainable, artifact, context.output)
    del trainable
    require_running(pruned, f"{field}.structure", str(parameters.structure))
    return Outcome(pruned, details)


def _accepts(parameters: Prune) -> Formats:
    if parameters.method != "structured":
        return frozenset({"transformers", "torch", "onnx"})
    # The configuration counts the layers; a changed model no longer matches its configuration.
    return frozenset({"transformers"}) if parameters.structure == "layers" else frozenset({"transformers", "torch"})


def _gives(before: Format, parameters: Prune) -> Format:
    if parameters.method != "structured" or parameters.structure == "layers":
        return before
    return "torch"


class _MagnitudePruner:
    """Finds thresholds for the scope, applies them, and counts weights and zeros."""

    def __init__(self, parameters: Prune, context: StageContext) -> None:
        self._parameters = parameters
        self._context = context
        self._threshold: Threshold | None = None
        self.weights = self.zeros = self.tensors = 0

    def prepare(self, arrays: "Callable[[], Any]") -> None:
        """Find the common threshold of all layers; with scope layer, each layer has its own."""
        from compression_runner.methods.prune.magnitude import find_threshold, lamp_scores

        total = sum(array.size for array in arrays())
        if total == 0:
            problem = "the model has no weights of linear layers, convolutions or embeddings"
            raise BadRecipe("NothingToPrune", self._context.field, "prune", problem, "remove the stage")
        scope, count = self._parameters.effective_scope, int(total * self._parameters.sparsity)
        if scope == "global":
            self._threshold = find_threshold(arrays, count)
        elif scope == "lamp":
            self._threshold = find_threshold(lambda: map(lamp_scores, arrays()), count)

    def prune(self, array: "Floats") -> "Floats":
        """Return one array with its small weights at zero."""
        from compression_runner.methods.prune.magnitude import find_threshold, lamp_scores, prune

        threshold = self._threshold
        if threshold is None:
            threshold = find_threshold(lambda: [array], int(array.size * self._parameters.sparsity))
        scores = lamp_scores(array) if self._parameters.scope == "lamp" else None
        pruned, left = prune(array, threshold, scores)
        if self._threshold is not None:
            self._threshold = left
        self.weights += pruned.size
        self.zeros += int(pruned.size - (pruned != 0).sum())
        self.tensors += 1
        return pruned

    @property
    def details(self) -> Mapping[str, Any]:
        """Details of the pruned weights; the sparsity includes zeros from before."""
        return {"tensors": self.tensors, "weights": self.weights, "sparsity": round(self.zeros / self.weights, 6)}


def _prune_transformers(artifact: Artifact, parameters: Prune, context: StageContext) -> Mapping[str, Any]:
    import torch
    from safetensors.torch import load_file

    from compression_runner.formats.safetensors_files import save_shard
    from compression_runner.methods.prune.excluding import exclusion
    from compression_runner.methods.prune.weights import is_weight, to_array

    shards = [file.path for file in artifact.files if file.weights]

    def weights() -> "Iterator[tuple[str, torch.Tensor]]":
        for shard in shards:
            yield from (part for part in sorted(load_file(artifact.path / shard).items()) if is_weight(*part))

    def arrays() -> "Iterator[Floats]":
        return (to_array(tensor) for name, tensor in weights() if not excluded(name))

    excluded = exclusion(parameters, (name for name, _ in weights()) if parameters.exclude else (), context.field)

    pruner = _MagnitudePruner(parameters, context)
    pruner.prepare(arrays)
    for index, shard in enumerate(shards):
        tensors = load_file(artifact.path / shard)
        for name, tensor in sorted(tensors.items()):
            if is_weight(name, tensor) and not excluded(name):
                tensors[name] = torch.from_numpy(pruner.prune(to_array(tensor))).to(tensor.dtype).contiguous()
        save_shard(tensors, context.output / shard)
        context.advance((index + 1) / len(shards))
    _copy_index(artifact, context.output)
    return pruner.details


def _copy_index(artifact: Artifact, into: Path) -> None:
    for file in artifact.files:
        if file.path.endswith(".safetensors.index.json"):
            (into / file.path).write_bytes((artifact.path / file.path).read_bytes())


def _prune_onnx(artifact: Artifact, parameters: Prune, context: StageContext) -> Mapping[str, Any]:
    from onnx import numpy_helper

    from compression_runner.calibration.naming import weight_names
    from compression_runner.formats.graph_weights import LAYERS, float_weights, sizes, skipped_details
    from compression_runner.formats.normalization import load
    from compression_runner.formats.onnx_files import save
    from compression_runner.methods.prune.excluding import exclusion

    model = load(artifact.model_file)
    known = list(float_weights(model, LAYERS))
    names = weight_names(model, [tensor.name for tensor in known])
    excluded = exclusion(parameters, names.values(), context.field)
    weights = [tensor for tensor in known if not excluded(names[tensor.name])]
    pruner = _MagnitudePruner(parameters, context)
    pruner.prepare(lambda: (numpy_helper.to_array(tensor) for tensor in weights))
    for tensor in weights:
        tensor.CopyFrom(numpy_helper.from_array(pruner.prune(numpy_helper.to_array(tensor)), tensor.name))
    save(model, context.output)
    pruned = {tensor.name for tensor in weights}
    others = sizes(model, (tensor.name for tensor in float_weights(model) if tensor.name not in pruned))
    return {**pruner.details, **skipped_details(others)}


METHOD: Final = Method(
    name="prune",
    version=3,
    accepts=_accepts,
    gives=_gives,
    run=run,
    check_source=check_source,
    keeps_shapes=keeps_shapes,
    libraries=("numpy", "safetensors", "onnx", "onnx-ir", "torch", "torch-pruning", "transformers"),
    need=Need(150 * MIB, 1.0, 450 * MIB, 2.5),
    effort=3.0,
)
