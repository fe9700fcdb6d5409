"""Whether the data of a job has an array for each input of its graph, seen from the list of arrays alone."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from compression_runner.dataset.cache_inputs import is_past
from compression_runner.dataset.files import DataFiles
from compression_runner.dataset.npz import SUFFIX
from compression_runner.errors import InvalidInput
from compression_runner.formats.headers.ranges import RangeReader
from compression_runner.formats.source.inspection import Source
from compression_runner.inference.predictor import TensorInfo
from compression_runner.storage import Readable
from compressionjob.conditions import INVALID_INPUT
from compressionjob.data import DataRole
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS


def check_array_names(
    spec: CompressionJobSpec, source: Source, data: Mapping[DataRole, DataFiles], stores: Mapping[DataRole, Readable]
) -> None:
    """Raise InvalidInput, naming the tensor, for an input of a graph of task onnx that an .npz has no array for."""
    if TASKS[spec.model.task].content != "arrays" or not source.inputs:
        return
    for role, files in data.items():
        entry = files.entries[0]
        names = _arrays(RangeReader(stores[role], entry)) if entry.path.lower().endswith(".npz") else None
        missing = [info for info in source.inputs if info.name not in (names or ()) and not is_past(info.name)]
        if names is not None and missing:
            field = f"spec.data.{spec.data.field_of(role)}.source"
            raise InvalidInput(INVALID_INPUT, field, missing[0].name, *_words(missing[0], source.outputs, names))


def state_output(info: TensorInfo, outputs: Sequence[TensorInfo]) -> str | None:
    """Return the output that gives the next value of an input that holds a state; None for any other input."""
    name = info.name
    follows = {f"{name}{end}" for end in ("n", "_n", "N", "_N", "_out", "_new", "_next", "Out")}
    follows |= {f"{start}{name}" for start in ("new_", "next_", "out_", "output_")}
    follows |= {
        name.replace(before, after)
        for before, after in (("past", "present"), ("in", "out"), ("prev", "next"), ("_0", "_n"), ("0", "n"))
        if before in name
    }
    return next((each.name for each in outputs if each.name in follows and _alike(each, info)), None)


def _alike(one: TensorInfo, other: TensorInfo) -> bool:
    return one.dtype == other.dtype and len(one.shape) == len(other.shape)


def _words(info: TensorInfo, outputs: Sequence[TensorInfo], names: Sequence[str]) -> tuple[str, str]:
    """Return the problem and the remedy."""
    state = state_output(info, outputs)
    if state is None:
        return f"the data has no array of this name, which the model takes ({', '.join(names[:4])})", "add the array"
    problem = f"the data has no array {info.name}, the state that the model gives as {state}"
    return problem, "each row is one step: add an array with the state before it, zeros at a start"


def _arrays(reader: RangeReader) -> list[str] | None:
    """Return the names of the arrays in an .npz; None for a file that is none, which its reader will say."""
    try:
        with zipfile.ZipFile(_Remote(reader)) as archive:
            return [name.removesuffix(SUFFIX) for name in archive.namelist() if name.endswith(SUFFIX)]
    except zipfile.BadZipFile:
        return None


class _Remote(io.RawIOBase):
    """A file of a store that is read where zipfile looks."""

    def __init__(self, reader: RangeReader) -> None:
        super().__init__()
        self._reader, self._at = reader, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset from the start, from here or from the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._reader.entry.size}[whence]
        if base + offset < 0:
            raise OSError("an offset before the start of the file")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Return the offset from the start."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from here on, as far as the file goes."""
        content = self._reader.read(self._at, len(buffer))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)
