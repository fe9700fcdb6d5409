"""A GGUF file as the source of a model: one file with weights, configuration and tokenizer."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from compression_runner.errors import InvalidInput
from compression_runner.formats.headers.gguf import GgufHeader, read_gguf
from compression_runner.formats.headers.ranges import RangeReader
from compression_runner.storage import Entry, Readable
from compressionjob.tasks import Task

FIELD: Final = "spec.model.source"
SUFFIX: Final = ".gguf"


def find_gguf(store: Readable, entries: Sequence[Entry], task: Task) -> tuple[Entry, GgufHeader]:
    """Return the single GGUF file and its header.

    Raises InvalidInput for several files, another task, or an architecture unknown to Transformers.
    """
    files = [entry for entry in entries if entry.path.endswith(SUFFIX)]
    if len(files) != 1:
        names = ", ".join(entry.path for entry in files[:4])
        problem = f"there are {len(files)} .gguf files ({names})" if files else "there is no .gguf file"
        remedy = "name the one file; join the parts of a model with llama.cpp's gguf-split --merge"
        raise InvalidInput("NoModel", FIELD, store.url, problem, remedy)
    header = read_gguf(RangeReader(store, files[0]), FIELD)
    if task != "text-generation":
        problem, remedy = "a GGUF file holds a language model", "set it to text-generation, or name another source"
        raise InvalidInput("TaskMismatch", "spec.model.task", task, problem, remedy)
    if int(header.values.get("split.count", 1)) > 1:
        problem, remedy = "it is one part of a model", "join the parts with llama.cpp's gguf-split --merge"
        raise InvalidInput("ShardMissing", FIELD, files[0].path, problem, remedy)
    _require_known(header, files[0].path)
    if "tokenizer.ggml.tokens" not in header.values:
        problem, remedy = "it has no tokenizer", "convert the model again, with its tokenizer"
        raise InvalidInput("TokenizerMissing", FIELD, files[0].path, problem, remedy)
    return files[0], header


def types_of(header: GgufHeader) -> Mapping[str, int]:
    """Return type -> count of numbers, the most common first: {"Q4_1": 106168320, "Q8_0": ...}."""
    numbers: Counter[str] = Counter()
    for tensor in header.tensors:
        numbers[tensor.dtype] += tensor.elements
    return dict(numbers.most_common())


def _require_known(header: GgufHeader, path: str) -> None:
    # Takes seconds to import.
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    known = {_normalized(name) for name in GGUF_SUPPORTED_ARCHITECTURES}
    if _normalized(header.architecture) not in known:
        problem = f"Transformers does not read GGUF of architecture {header.architecture or '(none)'}"
        remedy = f"name the model's original, or one of {', '.join(sorted(GGUF_SUPPORTED_ARCHITECTURES))}"
        raise InvalidInput("UnsupportedModel", FIELD, path, problem, remedy)


def _normalized(name: str) -> str:
    """Return a name without the characters that llama.cpp and Transformers write differently: gpt-oss, gpt_oss."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
