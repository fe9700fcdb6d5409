"""Open a model in the engine that measures it: a graph, or a Transformers folder in PyTorch."""

from pathlib import Path

from compression_runner.inference.opening import open_predictor
from compression_runner.inference.predictor import SOURCE_MODEL, Engine, ModelOrigin, Predictor, is_torch
from compressionjob.tasks import Task


def open_model(model: Path, task: Task, threads: int, engine: Engine, origin: ModelOrigin = SOURCE_MODEL) -> Predictor:
    """Load a graph, or a folder for an engine of PyTorch.

    Raises the error of the model's origin for a model that the engine cannot load: InvalidInput for the source.
    """
    if is_torch(engine):
        # It takes seconds to import, and few jobs need it.
        from compression_runner.formats.torch_folder import open_folder

        return open_folder(model, task, threads, engine, origin)
    return open_predictor(model, threads, engine, origin)
