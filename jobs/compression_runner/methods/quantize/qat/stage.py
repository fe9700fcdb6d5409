"""The stage: put weights on their grids, train, export, and store levels instead of floats."""

import math
from typing import Any

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import BadRecipe
from compression_runner.formats.companions import copy_companions
from compression_runner.formats.comparison import compare
from compression_runner.formats.export import graph_of
from compression_runner.formats.onnx_files import save
from compression_runner.methods.quantize.loading import require_loadable
from compression_runner.methods.quantize.qat.layers import put_on_grid, take_off, without_answers
from compression_runner.methods.quantize.qat.storing import NotStored, store
from compression_runner.stages.method import Outcome, StageContext
from compression_runner.training import model as models
from compression_runner.training.lesson import Lesson
from compressionjob.methods.losses import Losses
from compressionjob.methods.quantize import Qat
from compressionjob.methods.training import Training


def train_quantized(artifact: Artifact, parameters: Qat, context: StageContext) -> Outcome:
    """An ONNX graph with weights of few bits that were trained to be so; the baseline teaches, labels help.

    Raises BadRecipe where the training diverges, or the stored graph does not answer as the trained model does where
    it is run exactly. As it is served, it may: onnxruntime multiplies weights of few bits with activations that it
    quantizes to 8 bits. How far apart the answers are then is among the details, and the quality is measured so.
    """
    data = context.required_data
    samples = data.samples("training", artifact.path)
    student, teacher = models.load_linear(artifact), models.load(data.teacher()).freeze()
    lesson = Lesson(student, teacher, samples, parameters.training or Training())
    before = lesson.score()
    answers, _ = student.outputs(lesson.checks[0].inputs)
    chosen = put_on_grid(student.inner, parameters.dtype, without_answers(student.inner, answers))
    labelled = samples.labels is not None and student.task.endswith("classification")
    losses = Losses(labels=0.5 if labelled else 0.0)
    trained = lesson.teach(losses, context, "choose a smaller training.learningRate, or more bits")
    weights = take_off(student.inner, chosen)
    after = lesson.score()
    student.bring_home()
    copy_companions(artifact, context.output, exported=True)
    graph = graph_of(student.module, student.inner, artifact.path, student.interface)
    try:
        stored = store(graph, weights)
    except NotStored as error:
        raise BadRecipe("NotStorable", context.field, parameters.dtype, str(error), "use another dtype") from error
    path = save(graph, context.output)
    require_loadable(path, context.field)

    def refused(problem: str) -> BadRecipe:
        return BadRecipe("ExportDiffers", context.field, "qat", f"the stored graph: {problem}", "report this")

    inputs = [lesson.checks[0].inputs]
    compare(student.module, path, student.interface, inputs, refused=refused, exact=True)
    served = compare(student.module, path, student.interface, inputs, math.inf, refused)
    details: dict[str, Any] = {
        **trained.details(),
        **stored,
        **lesson.held_back(before, after),
        "maxAbsDifference": served.max_abs_difference,
    }
    return Outcome(seal(context.output, "onnx", artifact.task), details)
