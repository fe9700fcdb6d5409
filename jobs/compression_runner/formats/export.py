"""From a Transformers directory to an ONNX graph that is known to give the same answers."""

import gc
import io
import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final

import onnx
import torch

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe
from compression_runner.formats.comparison import Comparison, compare
from compression_runner.formats.onnx_files import forget_origin, save
from compression_runner.formats.probes import Probe, probes
from compression_runner.formats.task_module import Interface, wrap
from compression_runner.formats.transformers_model import load_model, sequence_length_limit

OPSET: Final = 20
MAX_BATCH: Final = 4096


def export(artifact: Artifact, into: Path) -> Comparison:
    """Writes `model.onnx` with free batch and sequence axes into `into`.

    Raises BadRecipe where torch cannot export the model or the result's outputs differ from the source's.
    """
    model = load_model(artifact.path, artifact.task)
    module, interface = wrap(model, artifact.path, artifact.task)
    inputs = probes(model, artifact.path, interface)
    graph = _export(module, interface, inputs[0], sequence_length_limit(model))
    path = save(graph, into)
    del graph
    gc.collect()
    return compare(module, path, interface, inputs)


def _export(module: torch.nn.Module, interface: Interface, example: Probe, longest: int) -> onnx.ModelProto:
    axes = {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)}
    if interface.inputs != ("pixel_values",):
        axes[1] = torch.export.Dim("sequence", min=2, max=longest)
    # The exporter prints its steps and warns about itself; what matters is whether the outputs agree.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                module,
                example,
                dynamo=True,
                input_names=list(interface.inputs),
                output_names=[interface.output],
                dynamic_shapes=(tuple(axes for _ in interface.inputs),),
                opset_version=OPSET,
                verbose=False,
            )
        except (torch.onnx.OnnxExporterError, RuntimeError, ValueError, TypeError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            problem, remedy = f"torch cannot export the model: {first}", "export it to ONNX yourself"
            raise BadRecipe("ExportFailed", "spec.model.source", "export to ONNX", problem, remedy) from error
    if program is None:
        raise BadRecipe("ExportFailed", "spec.model.source", "export to ONNX", "torch gave no program", "report this")
    model = program.model_proto
    forget_origin(model)
    return model
