"""Check that the data of a job has an array for each input of its graph, from the list of arrays alone."""

import zipfile
from collections.abc import Mapping, Sequence

from compression_runner.dataset.cache_inputs import is_past
from compression_runner.dataset.files import DataFiles
from compression_runner.dataset.npz import SUFFIX
from compression_runner.errors import InvalidInput
from compression_runner.formats.headers.ranges import RangeReader, RemoteFile
from compression_runner.formats.source.inspection import Source
from compression_runner.inference.predictor import TensorInfo
from compression_runner.inference.stepping import check_state
from compression_runner.storage import Readable
from compressionjob.conditions import INVALID_INPUT
from compressionjob.data import DataRole
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS


def check_array_names(
    spec: CompressionJobSpec, source: Source, data: Mapping[DataRole, DataFiles], stores: Mapping[DataRole, Readable]
) -> None:
    """Raise InvalidInput, naming the tensor, if an .npz has no array for an input of a graph of task onnx."""
    if TASKS[spec.model.task].content != "arrays" or not source.inputs:
        return
    state = {tensor.input: tensor.output for tensor in spec.model.state}
    if state:
        check_state(state, source.inputs, source.outputs)
    for role, files in data.items():
        entry = files.entries[0]
        names = array_names(RangeReader(stores[role], entry)) if entry.path.lower().endswith(".npz") else None
        given = {*(names or ()), *state}
        missing = [info for info in source.inputs if info.name not in given and not is_past(info.name)]
        if names is not None and missing:
            field = f"spec.data.{spec.data.field_of(role)}.source"
            raise InvalidInput(
                INVALID_INPUT, field, missing[0].name, *_problem_and_remedy(missing[0], source.outputs, names)
            )


def state_output(info: TensorInfo, outputs: Sequence[TensorInfo]) -> str | None:
    """Return the output with the next value of a state input; None for any other input."""
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


def _problem_and_remedy(info: TensorInfo, outputs: Sequence[TensorInfo], names: Sequence[str]) -> tuple[str, str]:
    """Explain a missing array, and how to add it."""
    state = state_output(info, outputs)
    if state is None:
        return f"the data has no array of this name, which the model takes ({', '.join(names[:4])})", "add the array"
    problem = f"the data has no array {info.name}, the state that the model gives as {state}"
    pair = f"{{input: {info.name}, output: {state}}}"
    remedy = f"give sequences of steps, with spec.model.state: [{pair}]; for single steps add the array"
    return problem, remedy


def array_names(reader: RangeReader) -> list[str] | None:
    """Return the names of the arrays in an .npz; None for an invalid file, which its reader reports later."""
    try:
        with zipfile.ZipFile(RemoteFile(reader)) as archive:
            return [name.removesuffix(SUFFIX) for name in archive.namelist() if name.endswith(SUFFIX)]
    except zipfile.BadZipFile:
        return None
