"""Detect prune stages that must fail from the headers of a checkpoint."""

from collections.abc import Iterator, Mapping
from typing import Final

from compression_runner.errors import BadRecipe
from compression_runner.formats.headers.tensors import Tensor
from compression_runner.formats.layer_names import HEAD_IN, HEAD_TABLE, JOINT, NORMALIZED, PROJECTIONS
from compression_runner.formats.source.inspection import Source
from compression_runner.formats.source.regular_shape import require_regular
from compression_runner.methods.prune.patterns import require_fit
from compressionjob.methods.names import matches
from compressionjob.methods.prune import Prune

TABLES: Final = ("embed", "wte", "wpe", "bias")
"""Parts of the names of matrices that are not weights of layers."""
TRANSPOSED: Final = "GPT"
"""Part of the names of architectures that store the inputs of a layer first."""
WEIGHT: Final = ".weight"
MIN_LINEAR: Final = 2
"""Minimum number of linear layers of a feed-forward block."""
CONVOLUTION_AXES: Final = (3, 4)
"""Axes of the weights of convolutions whose channels can be pruned: along one and two spatial axes."""
UNPRUNABLE: Final[Mapping[tuple[str, str], str]] = {
    ("channels", "data2vec-audio"): "it has norms without weights, whose numbers of channels stay fixed",
    ("channels", "dinov2"): "its classifier takes the first token and the mean of the others, "
    "which torch-pruning confuses",
    ("channels", "levit"): "its code has fixed numbers of channels for each head",
    ("channels", "mamba"): "torch-pruning cannot follow the selection of its states",
    ("channels", "moonshine"): "its code has fixed numbers of channels for each head",
    ("channels", "pvt"): "its code has fixed numbers of channels for each head",
    ("channels", "speech_to_text"): "its convolutions have gates, whose halves torch-pruning does not follow",
    ("channels", "swin"): "its code merges patches with fixed numbers of channels",
    ("channels", "timesformer"): "it adds embeddings of time along an axis that torch-pruning does not follow",
    ("channels", "whisper"): "its embeddings of positions have a fixed width",
    ("heads", "moonshine"): "its code has one number of heads for all layers",
    ("neurons", "levit"): "its feed-forward blocks have norms between their layers",
    ("neurons", "mamba"): "torch-pruning cannot follow the selection of its states",
    ("neurons", "sew-d"): "torch-pruning counts too many neurons",
}
"""Structures and model types that torch-pruning (1.6) does not prune correctly, with the reason; no shape shows it."""


def check_source(parameters: Prune, source: Source, field: str) -> None:
    """Raise BadRecipe for structures that a checkpoint does not have, and for a 2:4 pattern that does not fit it.

    The stage itself checks what headers do not show: most of graphs, and convolutions (which may be grouped).
    """
    if source.format == "onnx" and not source.layers:
        problem = "the graph has no linear layers, convolutions or look-ups in a table"
        raise BadRecipe("NothingToPrune", field, parameters.method, problem, "leave the stage out")
    if source.format != "transformers":
        return
    if parameters.method == "structured":
        _STRUCTURES[str(parameters.structure)](source, field)
    elif parameters.pattern == "2:4" and TRANSPOSED not in source.architecture:
        _require_pattern(parameters, source, field)


def keeps_shapes(parameters: Prune) -> bool:
    """Return whether the layers keep their shapes: only single weights are pruned."""
    return parameters.method != "structured"


def no_convolutions(field: str) -> BadRecipe:
    """Return the error for a model without prunable convolutions."""
    problem = "the model has no convolutions along one or two axes"
    remedy = "use structure neurons or heads, or derive a student with distill"
    return BadRecipe("NothingToPrune", field, "channels", problem, remedy)


def no_feed_forward(field: str) -> BadRecipe:
    """Return the error for a model without neurons between two linear layers."""
    return BadRecipe("NothingToPrune", field, "neurons", "the model has no feed-forward blocks", "use channels")


def no_separate_heads(field: str, kind: str) -> BadRecipe:
    """Return the error for a model without separate attention heads."""
    problem = "its attention layers have no separate query, key and value for each head"
    return BadRecipe("NothingToPrune", field, kind, problem, "use structure neurons or layers")


def _require_pattern(parameters: Prune, source: Source, field: str) -> None:
    for tensor in _matrices(source):
        if not matches(tensor.name, parameters.exclude):
            require_fit(tensor.name, tensor.name, tensor.shape[1], field)


def _matrices(source: Source) -> Iterator[Tensor]:
    for tensor in source.tensors:
        named = tensor.name.endswith(WEIGHT) and not any(part in tensor.name.lower() for part in TABLES)
        if named and len(tensor.shape) == 2:
            yield tensor


def _require_channels(source: Source, field: str) -> None:
    names = {tensor.name for tensor in source.tensors if len(tensor.shape) in CONVOLUTION_AXES}
    computed = sorted(name for name in names if NORMALIZED.search(name))
    if not computed and not any(name.endswith(WEIGHT) for name in names):
        raise no_convolutions(field)
    if computed:
        problem = f"{computed[0]} is part of a weight with weight_norm, which torch-pruning cannot prune"
        raise _unprunable("channels", source, problem, field)
    _require_prunable("channels", source, field)


def _require_neurons(source: Source, field: str) -> None:
    if len(list(_matrices(source))) < MIN_LINEAR:
        raise no_feed_forward(field)
    _require_prunable("neurons", source, field)


def _require_prunable(structure: str, source: Source, field: str) -> None:
    problem = UNPRUNABLE.get((structure, str(source.config.get("model_type"))))
    if problem:
        raise _unprunable(structure, source, problem, field)


def _unprunable(structure: str, source: Source, problem: str, field: str) -> BadRecipe:
    remedy = "use another structure, or method magnitude"
    where = f"{field}.structure"
    return BadRecipe("UnsupportedModel", where, source.architecture, f"{structure}: {problem}", remedy)


def _require_heads(source: Source, field: str) -> None:
    rows = {tensor.name: tensor.shape[0] for tensor in source.tensors if tensor.name.endswith(WEIGHT) and tensor.shape}
    if not any(map(HEAD_IN.search, rows)) or not any(_is_separate(name, rows) for name in rows):
        raise no_separate_heads(field, source.architecture)
    tables = [tensor.name for tensor in source.tensors if HEAD_TABLE.search(tensor.name)]
    if tables:
        raise _unprunable("heads", source, f"{tables[0]} has a fixed column for each head", field)
    _require_prunable("heads", source, field)


def _is_separate(name: str, rows: Mapping[str, int]) -> bool:
    """Return whether a weight is that of a query with a key and a value of equal size beside it."""
    scope, _, child = name.removesuffix(WEIGHT).rpartition(".")
    if child == JOINT:
        return True
    others = next((others for query, *others in PROJECTIONS if query == child), [])
    return bool(others) and {rows.get(f"{scope}.{other}{WEIGHT}") for other in others} == {rows[name]}


def _require_layers(source: Source, field: str) -> None:
    require_regular(source.config, field)


_STRUCTURES: Final = {
    "channels": _require_channels,
    "neurons": _require_neurons,
    "heads": _require_heads,
    "layers": _require_layers,
}
