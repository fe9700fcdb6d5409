"""The stage: put weights on their grids, train, export, and store levels instead of floats."""

from pathlib import Path
from typing import Any

import torch

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import BadRecipe
from compression_runner.formats.companions import copy_companions
from compression_runner.formats.export import graph_of
from compression_runner.formats.onnx_files import save
from compression_runner.formats.session import open_session
from compression_runner.formats.task_module import Interface
from compression_runner.methods.method import Outcome, StageContext
from compression_runner.methods.quantize.loading import require_loadable
from compression_runner.methods.quantize.qat.layers import put_on_grid, take_off
from compression_runner.methods.quantize.qat.storing import store
from compression_runner.training import model as models
from compression_runner.training.batches import Batch, Batches
from compression_runner.training.holdout import hold_back, whole
from compression_runner.training.loop import Keeping, train
from compression_runner.training.losses import Distillation, score
from compression_runner.training.model import Trainable
from compressionjob.methods.distill import Losses
from compressionjob.methods.quantize import Quantize
from compressionjob.methods.training import Training

TOLERANCE = 0.03
"""Largest difference of the stored graph's answers to the trained model's, relative to the largest answer: onnxruntime
multiplies weights of few bits with activations that it quantizes to 8 bits."""


def train_quantized(artifact: Artifact, parameters: Quantize, context: StageContext) -> Outcome:
    """An ONNX graph with weights of few bits that were trained to be so; the baseline teaches, labels help.

    Raises BadRecipe where the training diverges, or the stored graph does not answer as the trained model does.
    """
    data = context.required_data
    learned, held = hold_back(data.samples("training", artifact.path))
    student, teacher = models.load(artifact), models.load(data.teacher()).freeze()
    checks = whole(held, student.interface.inputs)
    before = score(student, teacher, checks)
    chosen = put_on_grid(student.inner, parameters.dtype)  # type: ignore[arg-type]
    settings = parameters.training or Training()
    batches = Batches(learned, student.interface.inputs, settings.batch_size, settings.seed, settings.augment)
    labelled = learned.labels is not None and student.task.endswith("classification")
    learner = Distillation(student, teacher, Losses(labels=0.5 if labelled else 0.0), batches.of_rows([0]))
    try:
        trained = train(learner, batches, learner.loss, settings, Keeping(context.keep, context.kept, context.advance))
    except ValueError as error:
        remedy = "choose a smaller training.learningRate, or more bits"
        raise BadRecipe("TrainingDiverged", context.field, settings.learning_rate, str(error), remedy) from error
    weights = take_off(student.inner, chosen)
    after = score(student, teacher, checks)
    copy_companions(artifact, context.output, exported=True)
    graph = graph_of(student.module, student.inner, artifact.path, student.interface)
    try:
        stored = store(graph, weights)
    except ValueError as error:
        raise BadRecipe("NotStorable", context.field, parameters.dtype, str(error), "use another dtype") from error
    path = save(graph, context.output)
    require_loadable(path, context.field)
    details: dict[str, Any] = {
        **trained.details(),
        **stored,
        "heldBack": {"samples": len(held), "score": after.what, "before": before.value, "after": after.value},
        "maxAbsDifference": _compare(student, path, checks[0], context.field),
    }
    return Outcome(seal(context.output, "onnx", artifact.task), details)


def _compare(student: Trainable, graph: Path, batch: Batch, field: str) -> float:
    """The largest difference between the stored graph's answers and the trained model's on real inputs."""
    with torch.no_grad():
        expected = student.outputs(batch.inputs)[0].numpy()
    session = open_session(graph)
    names = {node.name for node in session.get_inputs()}
    interface: Interface = student.interface
    feed = {name: value.numpy() for name, value in zip(interface.inputs, batch.inputs, strict=True) if name in names}
    got = session.run([interface.outputs[0]], feed)[0]
    apart, largest = float(abs(got - expected).max()), max(1.0, float(abs(expected).max()))
    if not apart <= TOLERANCE * largest:
        problem = f"the stored graph's answers differ by up to {apart:.3g} from the trained model's"
        raise BadRecipe("ExportDiffers", field, "qat", problem, "report this")
    return apart
