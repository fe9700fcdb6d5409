"""Quantization-aware training: quantize weights in training, export, and store levels instead of floats."""

import math
from typing import Any

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import BadRecipe
from compression_runner.formats.companions import copy_companions
from compression_runner.formats.comparison import compare
from compression_runner.formats.export import graph_of
from compression_runner.formats.onnx_files import save
from compression_runner.methods.quantize.load_check import require_loadable
from compression_runner.methods.quantize.qat.layers import add_quantizers, remove_quantizers, unused_layers
from compression_runner.methods.quantize.qat.storing import NotStored, store
from compression_runner.stages.method import Outcome, StageContext
from compression_runner.training import model as models
from compression_runner.training.trainer import Trainer
from compressionjob.methods.losses import Losses
from compressionjob.methods.quantize import Qat
from compressionjob.methods.training import Training


def train_quantized(artifact: Artifact, parameters: Qat, context: StageContext) -> Outcome:
    """Return an ONNX graph with low-bit weights, trained with the baseline as the teacher and with labels if any.

    Raises BadRecipe if the training diverges, or if the stored graph, run exactly, differs from the trained model.
    When served it may differ: onnxruntime multiplies low-bit weights with activations that it quantizes to 8 bits.
    The details have the largest difference of the served graph, and the evaluation measures that graph.
    """
    data = context.required_data
    samples = data.samples("training", artifact.path)
    student, teacher = models.load_linear(artifact), models.load(data.teacher()).freeze()
    trainer = Trainer(student, teacher, samples, parameters.training or Training())
    before = trainer.score()
    outputs, _ = student.outputs(trainer.held_out[0].inputs)
    kinds = add_quantizers(student.inner, parameters.dtype, unused_layers(student.inner, outputs))
    labelled = samples.labels is not None and student.task.endswith("classification")
    losses = Losses(labels=0.5 if labelled else 0.0)
    trained = trainer.train(losses, context)
    weights = remove_quantizers(student.inner, kinds)
    after = trainer.score()
    student.move_to_cpu()
    copy_companions(artifact, context.output, exported=True)
    graph = graph_of(student.module, student.inner, artifact.path, student.interface)
    try:
        stored = store(graph, weights)
    except NotStored as error:
        raise BadRecipe("NotStorable", context.field, parameters.dtype, error.problem, "use another dtype") from error
    path = save(graph, context.output)
    require_loadable(path, context.field)

    def refused(problem: str) -> BadRecipe:
        return BadRecipe("ExportDiffers", context.field, "qat", f"the stored graph: {problem}", "report this")

    inputs = [trainer.held_out[0].inputs]
    compare(student.module, path, student.interface, inputs, refused=refused, exact=True)
    served = compare(student.module, path, student.interface, inputs, math.inf, refused)
    details: dict[str, Any] = {
        **trained.details(),
        **stored,
        **trainer.holdout_details(before, after),
        "maxAbsDifference": served.max_abs_difference,
    }
    return Outcome(seal(context.output, "onnx", artifact.task), details)
