"""What the headers of a checkpoint show of a stage that cannot succeed."""

from collections.abc import Iterator, Mapping
from typing import Final

from compression_runner.errors import BadRecipe
from compression_runner.formats.headers.tensors import Tensor
from compression_runner.formats.layer_names import HEAD_IN, HEAD_TABLE, JOINT, NORMALIZED, PROJECTIONS
from compression_runner.formats.source.inspection import Source
from compression_runner.formats.source.regular_shape import require_regular
from compression_runner.methods.prune.patterns import DoesNotFit, require_fit
from compressionjob.methods.names import matches
from compressionjob.methods.prune import Prune

TABLES: Final = ("embed", "wte", "wpe", "bias")
"""Parts of the names of matrices that are no layer's weight."""
TURNED: Final = "GPT"
"""What is in the names of architectures that store a layer's inputs first."""
WEIGHT: Final = ".weight"
HIDDEN: Final = 2
"""Linear layers at least that neurons lie between."""
FLAT: Final = (3, 4)
"""Dimensions of the weights of convolutions along one and two axes, whose channels can go."""
UNCUTTABLE: Final[Mapping[tuple[str, str], str]] = {
    ("channels", "data2vec-audio"): "it has norms without weights, which keep their numbers of channels",
    ("channels", "dinov2"): "its classifier takes the first token beside the mean of the others, "
    "which torch-pruning takes for one",
    ("channels", "levit"): "it divides its channels into heads by numbers that its code keeps",
    ("channels", "mamba"): "torch-pruning cannot follow how it selects its states",
    ("channels", "moonshine"): "it divides its channels into heads by numbers that its code keeps",
    ("channels", "pvt"): "it divides its channels into heads by numbers that its code keeps",
    ("channels", "speech_to_text"): "its convolutions have gates, whose halves torch-pruning does not follow",
    ("channels", "swin"): "it merges patches by numbers of channels that its code keeps",
    ("channels", "timesformer"): "it adds embeddings of time along another axis than torch-pruning follows",
    ("channels", "whisper"): "its embeddings of positions keep their width",
    ("heads", "moonshine"): "its code takes the number of heads from the configuration of all layers",
    ("neurons", "levit"): "its feed-forward blocks have norms between their layers",
    ("neurons", "mamba"): "torch-pruning cannot follow how it selects its states",
    ("neurons", "sew-d"): "torch-pruning counts more of its neurons than there are",
}
"""Structures and types of models that torch-pruning (1.6) cuts wrongly or not at all, which no shape shows, and why."""


def check_source(parameters: Prune, source: Source, field: str) -> None:
    """Raise BadRecipe for structures that a checkpoint does not have, and for a 2:4 pattern that does not fit it.

    What headers do not show is left to the stage: graphs, and convolutions (which may be in groups).
    """
    if source.format != "transformers":
        return
    if parameters.method == "structured":
        _STRUCTURES[str(parameters.structure)](source, field)
    elif parameters.pattern == "2:4" and TURNED not in source.architecture:
        _require_pattern(parameters, source, field)


def keeps_shapes(parameters: Prune) -> bool:
    """Return whether single weights go, and the layers stay as large as they are."""
    return parameters.method != "structured"


def no_convolutions(field: str) -> BadRecipe:
    """Return what refuses a model without convolutions whose channels can go."""
    problem = "the model has no convolutions along one or two axes"
    remedy = "use structure neurons or heads, or derive a student with distill"
    return BadRecipe("NothingToPrune", field, "channels", problem, remedy)


def no_feed_forward(field: str) -> BadRecipe:
    """Return what refuses a model without neurons between two linear layers."""
    return BadRecipe("NothingToPrune", field, "neurons", "the model has no feed-forward blocks", "use channels")


def no_separate_heads(field: str, kind: str) -> BadRecipe:
    """Return what refuses a model whose heads cannot be told apart."""
    problem = "its attention layers have no separate query, key and value for each head"
    return BadRecipe("NothingToPrune", field, kind, problem, "use structure neurons or layers")


def _require_pattern(parameters: Prune, source: Source, field: str) -> None:
    for tensor in _matrices(source):
        if matches(tensor.name, parameters.exclude):
            continue
        try:
            require_fit(tensor.name, tensor.name, tensor.shape[1])
        except DoesNotFit as error:
            raise BadRecipe("PatternDoesNotFit", f"{field}.pattern", "2:4", str(error), error.remedy) from error


def _matrices(source: Source) -> Iterator[Tensor]:
    for tensor in source.tensors:
        named = tensor.name.endswith(WEIGHT) and not any(part in tensor.name.lower() for part in TABLES)
        if named and len(tensor.shape) == 2:
            yield tensor


def _require_channels(source: Source, field: str) -> None:
    names = {tensor.name for tensor in source.tensors if len(tensor.shape) in FLAT}
    computed = sorted(name for name in names if NORMALIZED.search(name))
    if not computed and not any(name.endswith(WEIGHT) for name in names):
        raise no_convolutions(field)
    if computed:
        problem = f"{computed[0]} is half of a weight that is computed (weight_norm), which torch-pruning cannot cut"
        raise _uncuttable("channels", source, problem, field)
    _require_cuttable("channels", source, field)


def _require_neurons(source: Source, field: str) -> None:
    if len(list(_matrices(source))) < HIDDEN:
        raise no_feed_forward(field)
    _require_cuttable("neurons", source, field)


def _require_cuttable(structure: str, source: Source, field: str) -> None:
    problem = UNCUTTABLE.get((structure, str(source.config.get("model_type"))))
    if problem:
        raise _uncuttable(structure, source, problem, field)


def _uncuttable(structure: str, source: Source, problem: str, field: str) -> BadRecipe:
    remedy = "use another structure, or method magnitude"
    where = f"{field}.structure"
    return BadRecipe("UnsupportedModel", where, source.architecture, f"{structure}: {problem}", remedy)


def _require_heads(source: Source, field: str) -> None:
    rows = {tensor.name: tensor.shape[0] for tensor in source.tensors if tensor.name.endswith(WEIGHT) and tensor.shape}
    if not any(map(HEAD_IN.search, rows)) or not any(_is_separate(name, rows) for name in rows):
        raise no_separate_heads(field, source.architecture)
    tables = [tensor.name for tensor in source.tensors if HEAD_TABLE.search(tensor.name)]
    if tables:
        raise _uncuttable("heads", source, f"{tables[0]} has a column for each head, which stays", field)
    _require_cuttable("heads", source, field)


def _is_separate(name: str, rows: Mapping[str, int]) -> bool:
    """Whether a weight is that of a query which has a key and a value as large as it beside it."""
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
