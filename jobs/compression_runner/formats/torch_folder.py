"""Open a Transformers folder as a module of PyTorch, with the inputs and outputs of its exported graph."""

from pathlib import Path

from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.formats.embedder import Embedder
from compression_runner.formats.export import Exportable, exportable_of
from compression_runner.formats.probes import Probe
from compression_runner.formats.task_module import Interface
from compression_runner.formats.transformers_model import load_as_stored
from compression_runner.inference.predictor import OTHER_STAGE, SOURCE_MODEL, Feed, ModelOrigin
from compression_runner.inference.torch_modules import TorchPredictor
from compressionjob.engines import TorchEngine
from compressionjob.tasks import Task


def open_folder(
    folder: Path, task: Task, threads: int, engine: TorchEngine, origin: ModelOrigin = SOURCE_MODEL
) -> TorchPredictor:
    """Load the model of a folder as its users do.

    Raises what `load_as_stored` raises, BadRecipe for a compressed model that does not load, and the error of the
    model's origin if it does not run.
    """
    try:
        exportable = _loaded(folder, task)
    except (InvalidInput, BadRecipe) as error:
        if not origin.compressed:
            raise
        problem = f"{engine} cannot load the compressed model: {error.problem}"
        raise BadRecipe("NotLoadable", origin.field, folder.name, problem, OTHER_STAGE) from error
    interface = exportable.interface
    examples = [_feed(interface, probe) for probe in exportable.inputs]
    return TorchPredictor(exportable.module, examples, interface.outputs, threads, engine, origin)


def _loaded(folder: Path, task: Task) -> Exportable:
    model = load_as_stored(folder, task)
    exportable = exportable_of(model, folder, task)
    if isinstance(exportable.module, Embedder):
        # Its weights are loaded in float32, and must have the type of the states.
        exportable.module.pooling.to(next(model.parameters()).dtype)
    return exportable


def _feed(interface: Interface, probe: Probe) -> Feed:
    tensors = (tensor.float() if tensor.is_floating_point() else tensor for tensor in probe)
    return dict(zip(interface.inputs, (tensor.numpy() for tensor in tensors), strict=True))
