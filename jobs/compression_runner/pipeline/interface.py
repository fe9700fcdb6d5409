"""Check the inputs and outputs in the header of an ONNX graph against the job, before weights move."""

from collections.abc import Mapping

from compression_runner.dataset.files import DataFiles
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.answers import chosen_outputs
from compression_runner.evaluation.answers.varying import require_rows
from compression_runner.formats.source.inspection import FIELD, Source
from compression_runner.inference.batch_axis import batch_symbols, fixed_batch
from compression_runner.inference.predictor import TensorInfo
from compressionjob.conditions import INVALID_INPUT
from compressionjob.data import DataRole
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS

END: str = "end the model before it"
ZIPMAP: str = "export the model without ZipMap (skl2onnx: options={'zipmap': False})"


def check_interface(spec: CompressionJobSpec, source: Source, data: Mapping[DataRole, DataFiles]) -> None:
    """Raise InvalidInput for inputs and outputs that cannot be measured, and for a batch size that differs from the
    job's.

    A source that is not a graph has no inputs to check.
    """
    if not source.inputs:
        return
    _require_tensors(source)
    _require_names_once(spec, source)
    _require_batch(spec, fixed_batch(source.inputs))
    _require_texts_by_name(source.inputs, data["evaluation"])
    if not (TASKS[spec.model.task].running_text or TASKS[spec.model.task].writes):
        _require_outputs(spec, source)


def _require_tensors(source: Source) -> None:
    for info in source.inputs:
        if info.name in source.kinds:
            problem = f"input {info.name} is a {source.kinds[info.name]}, and data gives tensors"
            raise InvalidInput(INVALID_INPUT, FIELD, info.name, problem, "export it with tensors as inputs")


def _require_names_once(spec: CompressionJobSpec, source: Source) -> None:
    """Refuse a tensor with the batch name on two dimensions."""
    symbols = batch_symbols(source.inputs)
    outputs = source.outputs if spec.benchmark.batch_size > 1 else ()
    for info in (*source.inputs, *outputs):
        named = [symbol for symbol in info.symbols if symbol in symbols]
        if len(named) > 1:
            problem = f"tensor {info.name} has {len(named)} dimensions that count the batch ({', '.join(info.symbols)})"
            remedy = "export the model with one dimension named batch in each tensor, and other names for the others"
            raise InvalidInput(INVALID_INPUT, FIELD, info.name, problem, remedy)


def _require_batch(spec: CompressionJobSpec, fixed: int | None) -> None:
    """Refuse queries that are not a multiple of the model's fixed batch size."""
    if fixed is None:
        return
    size, latency = spec.benchmark.batch_size, spec.sla.latency
    problem = f"the model's batch is fixed at {fixed}"
    if size != fixed:
        raise InvalidInput(INVALID_INPUT, "spec.benchmark.batchSize", size, problem, f"set it to {fixed}")
    each = latency.samples_per_query if latency else None
    if each is not None and each % fixed:
        remedy = f"set it to a multiple of {fixed}"
        raise InvalidInput(INVALID_INPUT, "spec.sla.latency.samplesPerQuery", each, problem, remedy)


def _require_texts_by_name(inputs: tuple[TensorInfo, ...], files: DataFiles) -> None:
    """Refuse data without array names for a model with text inputs."""
    texts = [info.name for info in inputs if info.dtype.kind == "O"]
    path = files.entries[0].path
    if texts and not path.lower().endswith(".npz"):
        problem = f"input {texts[0]} takes texts, and {path} has no array of that name"
        remedy = "give an .npz with an array of dtype str for it, and one for each other input"
        raise InvalidInput(INVALID_INPUT, "spec.data.evaluation.source", texts[0], problem, remedy)


def _require_outputs(spec: CompressionJobSpec, source: Source) -> None:
    """Refuse outputs that cannot be compared: sequences, maps, and texts alone."""
    task = spec.model.task
    tensors = [info for info in source.outputs if info.name not in source.kinds]
    others = [info.name for info in source.outputs if info.name in source.kinds]
    if others and (task == "onnx" or not _fits(spec, tensors)):
        kind = source.kinds[others[0]]
        problem = f"output {others[0]} is a {kind}, which cannot be compared"
        raise InvalidInput(INVALID_INPUT, FIELD, others[0], problem, ZIPMAP if "map" in kind else END)
    if task == "onnx" and not _fits(spec, tensors):
        names = ", ".join(info.name for info in tensors)
        problem = f"no output is a tensor of numbers ({names}), so that nothing can be compared"
        raise InvalidInput(INVALID_INPUT, FIELD, names, problem, END)
    if all(info.shape for info in tensors):
        chosen_outputs(tensors, task)
    if spec.quality_metric == "matches":
        require_rows(source.inputs, tensors, task, spec.benchmark.batch_size)


def _fits(spec: CompressionJobSpec, outputs: list[TensorInfo]) -> bool:
    try:
        chosen_outputs(outputs, spec.model.task)
    except InvalidInput:
        return False
    return True
