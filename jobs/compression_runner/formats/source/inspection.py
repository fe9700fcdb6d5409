"""Inspect the model at its source by its headers, without reading weights."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from compression_runner import artifact as artifacts
from compression_runner.dataset.cache_inputs import PAST, is_past
from compression_runner.dataset.sentence_settings import ModelFiles
from compression_runner.dataset.text_lengths import LengthLimit, position_limit
from compression_runner.errors import InvalidInput
from compression_runner.formats.headers.onnx import STANDARD_DOMAINS, read_graph
from compression_runner.formats.headers.onnx_graph import OnnxGraph
from compression_runner.formats.headers.ranges import RangeReader
from compression_runner.formats.headers.safetensors import COMPRESSIBLE, read_header
from compression_runner.formats.headers.tensors import Tensor
from compression_runner.formats.source.gguf import SUFFIX, find_gguf, types_of
from compression_runner.formats.source.head import check_head, several_labels
from compression_runner.formats.source.text_model import check_text_graph, check_text_model
from compression_runner.formats.source.transformers_config import check_task, parse_config
from compression_runner.inference.batch_axis import locate_batch
from compression_runner.inference.predictor import TensorInfo
from compression_runner.storage import Entry, Readable
from compressionjob.spec import Model, Task
from compressionjob.tasks import TASKS

FIELD: Final = "spec.model.source"
PICKLES: Final = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".npy", ".joblib")
# torch.export.load (torch 2.14) unpickles constants, and has sympy evaluate the text of every symbolic size.
EXPORTED: Final = ".pt2"
# Suffixes of files that are fetched beside the weights: configuration and tokenizers, and no code.
COMPANIONS: Final = (".json", ".txt", ".model", ".jinja", ".tiktoken")
SUMS: Final = "SHA256SUMS"
MAX_SMALL_FILE: Final = 64 << 20


@dataclass(frozen=True)
class Source:
    """A model that can be fetched: its format, files, tensors and identity.

    `several_labels` is true if a sample may have several labels, None if the configuration does not state it.
    `identity` changes with any file and needs no read: it is a hash over paths, sizes and the tags of the store.
    `limit` is the maximum length of a text, None if there is none or it is unknown.
    For a graph, `operators` are its operators, `layers` those of them that may have weights, and `multiplied` the names
    that layers read as a weight.
    """

    format: artifacts.Format
    task: Task
    files: tuple[Entry, ...]
    weights: frozenset[str]
    tensors: tuple[Tensor, ...]
    architecture: str
    checksums: Mapping[str, str] = field(default_factory=dict)
    limit: LengthLimit | None = None
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    """For an ONNX graph: its inputs and outputs, and the kind of those that are not tensors."""
    several_labels: bool | None = None
    operators: frozenset[str] = frozenset()
    multiplied: frozenset[str] = frozenset()
    layers: frozenset[str] = frozenset()
    config: Mapping[str, Any] = field(default_factory=dict)
    """The config.json of a Transformers model."""

    @property
    def weights_bytes(self) -> int:
        """Bytes of the weight files."""
        return sum(entry.size for entry in self.files if entry.path in self.weights)

    @property
    def total_bytes(self) -> int:
        """Bytes of all fetched files."""
        return sum(entry.size for entry in self.files)

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def identity(self) -> str:
        """The hash of the source in fingerprints."""
        lines = [self.format, self.task, *(f"{entry.path} {entry.size} {entry.tag}" for entry in self.files)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def inspect(store: Readable, model: Model) -> Source:
    """Inspect a source.

    Raises InvalidInput for sources that would fail later: pickles, truncated files, a model for another task.
    """
    entries = store.list()
    names = [entry.path for entry in entries]
    format_ = model.format if model.format != "auto" else _format(store, names)
    inspect_format = {"transformers": _transformers, "gguf": _gguf}.get(format_, _onnx)
    return inspect_format(store, entries, model.task, _checksums(store, entries))


def _format(store: Readable, names: Sequence[str]) -> artifacts.Format:
    if artifacts.MARKER in names and json.loads(store.read(artifacts.MARKER)).get("packing"):
        problem, remedy = "this is a packed artifact", "restore it with: compression-runner unpack ARTIFACT DEST"
        raise InvalidInput("PackedSource", FIELD, store.url, problem, remedy)
    if any(name.endswith(".safetensors") for name in names):
        return "transformers"
    if any(name.endswith(".onnx") for name in names):
        return "onnx"
    if any(name.endswith(SUFFIX) for name in names):
        return "gguf"
    programs = [name for name in names if name.endswith(EXPORTED)]
    if programs:
        problem = (
            f"{programs[0]} is a program of torch.export, which runs code when it is loaded (pickles, expressions)"
        )
        remedy = "convert it where you trust it: torch.onnx.export(torch.export.load(PATH), dynamo=True).save(ONNX)"
        raise InvalidInput("RemoteCode", FIELD, store.url, problem, remedy)
    pickles = [name for name in names if name.endswith(PICKLES)]
    if pickles:
        problem = f"{pickles[0]} is a pickle, which can run code when it is loaded, and there are no safetensors"
        remedy = "save the model with save_pretrained(..., safe_serialization=True)"
        raise InvalidInput("PickleRefused", FIELD, store.url, problem, remedy)
    problem = "it has no .safetensors, .onnx or .gguf file" if names else "it is empty"
    raise InvalidInput("NoModel", FIELD, store.url, problem, "name the folder that holds the model")


def _transformers(store: Readable, entries: Sequence[Entry], task: Task, checksums: Mapping[str, str]) -> Source:
    by_path = {entry.path: entry for entry in entries}
    if "config.json" not in by_path:
        remedy = "name the folder that holds config.json"
        raise InvalidInput("NoModel", FIELD, store.url, "there is no config.json beside the weights", remedy)
    config = parse_config(_read_small(store, by_path["config.json"]), FIELD)
    architecture = check_task(config, task, list(by_path))
    texts = check_text_model(config, ModelFiles(by_path, lambda path: _read_small(store, by_path[path])), task)
    weights = [*_weight_files(store, by_path), *texts.weights]
    tensors = [tensor for path in weights for tensor in read_header(RangeReader(store, by_path[path]), FIELD)]
    if not any(tensor.dtype in COMPRESSIBLE for tensor in tensors):
        kinds = ", ".join(sorted({tensor.dtype for tensor in tensors}))
        problem, remedy = f"no tensor is of a floating-point type (there are {kinds})", "name the original model"
        raise InvalidInput("NothingToCompress", FIELD, store.url, problem, remedy)
    kept = tuple(entry for entry in entries if entry.path in weights or _is_companion(entry.path))
    return Source(
        "transformers", task, kept, frozenset(weights), tuple(tensors), architecture, checksums,
        limit=texts.limit, several_labels=several_labels(config), config=config,
    )  # fmt: skip


def _gguf(store: Readable, entries: Sequence[Entry], task: Task, checksums: Mapping[str, str]) -> Source:
    entry, header = find_gguf(store, entries, task)
    architecture = f"{header.architecture}, GGUF of {', '.join(types_of(header))}"
    return Source("gguf", task, (entry,), frozenset({entry.path}), header.tensors, architecture, checksums)


def _weight_files(store: Readable, by_path: Mapping[str, Entry]) -> list[str]:
    index = by_path.get("model.safetensors.index.json")
    if index is None:
        if "model.safetensors" in by_path:
            return ["model.safetensors"]
        pickles = [path for path in by_path if path.endswith(PICKLES)]
        files = f"only {pickles[0]}, a pickle, which can run code" if pickles else "no model.safetensors"
        remedy = "save the model with save_pretrained(..., safe_serialization=True)"
        raise InvalidInput("PickleRefused" if pickles else "NoModel", FIELD, store.url, f"there is {files}", remedy)
    try:
        shards = sorted({str(shard) for shard in json.loads(_read_small(store, index))["weight_map"].values()})
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InvalidInput("InvalidFile", FIELD, index.path, "it has no weight_map", "save the model again") from error
    missing = [shard for shard in shards if shard not in by_path]
    if missing:
        raise InvalidInput("ShardMissing", FIELD, missing[0], f"{index.path} names it", "upload every shard")
    return shards


def _onnx(store: Readable, entries: Sequence[Entry], task: Task, checksums: Mapping[str, str]) -> Source:
    by_path = {entry.path: entry for entry in entries}
    graph_path = _graph_file(store, list(by_path))
    graph = read_graph(RangeReader(store, by_path[graph_path]), FIELD)
    foreign = sorted(graph.domains - STANDARD_DOMAINS)
    if foreign:
        problem = f"it uses operators of {foreign[0]}, for which no code is loaded"
        raise InvalidInput("UnsupportedOperators", FIELD, graph_path, problem, "export it with standard operators")
    if task == "text-generation" and not any(is_past(name) for name in graph.inputs):
        problem = f"the graph has no inputs {PAST}* and cannot decode step by step"
        remedy = "export it with its cache, as Optimum's text-generation-with-past does, or name the original model"
        raise InvalidInput("TaskMismatch", "spec.model.task", task, problem, remedy)
    outside = _external_files(graph, graph_path, by_path)
    weights = {graph_path, *outside}
    folder = graph_path.rpartition("/")[0]
    check_text_graph(graph.outputs, ModelFiles(by_path, lambda path: _read_small(store, by_path[path])), task)
    kept = tuple(
        entry
        for entry in entries
        if entry.path in weights or (entry.path.startswith(folder) and _is_companion(entry.path))
    )
    architecture = f"ONNX graph, {len(graph.operators)} kinds of operators"
    config = _config_beside(store, by_path, folder)
    if config:
        check_head(config, task)
    inputs, outputs = locate_batch(graph.takes, graph.gives)
    tensors = tuple(graph.tensors)
    return Source(
        "onnx", task, kept, frozenset(weights), tensors, architecture, checksums,
        inputs=inputs, outputs=outputs, kinds=graph.kinds, several_labels=several_labels(config) if config else None,
        limit=position_limit(config) if config and TASKS[task].content == "text" else None,
        operators=frozenset(graph.operators), multiplied=frozenset(graph.multiplied),
        layers=frozenset(graph.layers),
    )  # fmt: skip


def _config_beside(store: Readable, by_path: Mapping[str, Entry], folder: str) -> dict[str, Any] | None:
    """Return the configuration of the Transformers model of which the graph is an export; None without one."""
    entry = by_path.get(f"{folder}/config.json" if folder else "config.json")
    if entry is None:
        return None
    try:
        config = json.loads(_read_small(store, entry))
    except ValueError as error:
        raise InvalidInput("InvalidFile", FIELD, entry.path, "it is not JSON", "upload it again") from error
    return config if isinstance(config, dict) and "model_type" in config else None


def _graph_file(store: Readable, names: Sequence[str]) -> str:
    graphs = [name for name in names if name.endswith(".onnx")]
    for preferred in ("model.onnx", "onnx/model.onnx"):
        if preferred in graphs:
            return preferred
    if len(graphs) == 1:
        return graphs[0]
    problem = f"there are {len(graphs)} .onnx files ({', '.join(graphs[:4])})" if graphs else "there is no .onnx file"
    raise InvalidInput("NoModel", FIELD, store.url, problem, "name the one file, or call it model.onnx")


def _external_files(graph: OnnxGraph, graph_path: str, by_path: Mapping[str, Entry]) -> set[str]:
    """Return the files of external data. Raises InvalidInput for files outside the model's folder, or truncated."""
    files = set()
    folder = graph_path.rpartition("/")[0]
    for external in graph.externals:
        parts = Path(external.location).parts
        if not external.location or external.location.startswith("/") or ".." in parts or "\\" in external.location:
            problem = f"its external data {external.location!r} is outside the model's folder"
            raise InvalidInput("PathRefused", FIELD, graph_path, problem, "save the model with its data beside it")
        path = f"{folder}/{external.location}" if folder else external.location
        if path not in by_path:
            problem = f"its external data {external.location!r} is missing beside it"
            raise InvalidInput(
                "FileMissing", FIELD, graph_path, problem, "upload it, and name the folder as the source"
            )
        if external.offset + external.length > by_path[path].size:
            problem = f"the file is truncated: the graph needs {external.offset + external.length} bytes of it"
            raise InvalidInput("TruncatedFile", FIELD, path, problem, "upload it again")
        files.add(path)
    return files


def _checksums(store: Readable, entries: Sequence[Entry]) -> dict[str, str]:
    """Return file -> checksum from SHA256SUMS or artifact.json at the source."""
    by_path = {entry.path: entry for entry in entries}
    if artifacts.MARKER in by_path:
        try:
            sealed = artifacts.parse(json.loads(_read_small(store, by_path[artifacts.MARKER])), Path())
        except (ValueError, artifacts.ArtifactDamaged) as error:
            problem = error.problem if isinstance(error, artifacts.ArtifactDamaged) else "it is not valid JSON"
            remedy = "publish the artifact again, or remove its artifact.json"
            raise InvalidInput("InvalidFile", FIELD, artifacts.MARKER, problem, remedy) from error
        return {file.path: file.sha256 for file in sealed.files}
    if SUMS not in by_path:
        return {}
    lines = _read_small(store, by_path[SUMS]).decode(errors="replace").split("\n")
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {pair[1].strip().removeprefix("*").removeprefix("./"): pair[0].lower() for pair in pairs if len(pair) == 2}


def _is_companion(path: str) -> bool:
    return path.endswith(COMPANIONS) and path not in (artifacts.MARKER, "README.md")


def _read_small(store: Readable, entry: Entry) -> bytes:
    if entry.size > MAX_SMALL_FILE:
        problem = f"{entry.size} bytes are too many for a file of its kind"
        raise InvalidInput("InvalidFile", FIELD, entry.path, problem, "remove it")
    return store.read(entry.path)
