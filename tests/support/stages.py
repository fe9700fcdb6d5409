"""Single stages without a pipeline, and the outputs of their graphs."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import Outcome, StageContext, StageData
from compressionjob.methods.prune import Prune
from compressionjob.methods.registry import Quantize
from tests.support.stage_data import FakeStageData, array_samples, calibration, labelled_tokens

TOKENS = calibration(array_samples(tokens=np.random.default_rng(4).integers(0, 40, (50, 8))))
"""Calibration samples for graphs with the input `tokens`."""


def apply_method(name: str, artifact: Artifact, parameters: Any, context: StageContext) -> Outcome:
    """Run a method by the name of its stage. `parameters` are those of the manifest, None for an inserted stage."""
    chosen = parameters.chosen() if parameters is not None else None
    return METHODS[name, chosen.variant if chosen else ""].run(artifact, chosen, context)


def run_stage(
    name: str,
    artifact: Artifact,
    parameters: Any,
    into: Path,
    *,
    data: SampleSet | None = None,
    teacher: Artifact | None = None,
    **more: Any,
) -> Outcome:
    """Run a stage that trains, by default on labelled tokens and with the model itself as the teacher.

    `more` are fields of the stage's context.
    """
    into.mkdir()
    given = FakeStageData(data or labelled_tokens(), teacher=teacher or artifact)
    context = StageContext(into, f"spec.pipeline[0].{name}", data=given, **more)
    return apply_method(name, artifact, parameters, context)


def quantize_static(artifact: Artifact, samples: SampleSet, into: Path, **parameters: Any) -> Outcome:
    """Run static quantization with calibration samples."""
    into.mkdir()
    context = StageContext(into, "spec.pipeline[0].quantize", data=calibration(samples))
    return apply_method("quantize", artifact, Quantize.model_validate({"method": "static", **parameters}), context)


def prune(source: Artifact, into: Path, data: StageData = TOKENS, **parameters: Any) -> Outcome:
    """Prune half of the weights by default."""
    into.mkdir(parents=True)
    context = StageContext(into, "spec.pipeline[0].prune", data=data)
    return METHODS["prune", ""].run(source, Prune.model_validate({"sparsity": "0.5"} | parameters), context)


def answers(artifact: Artifact, feed: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the first output of an ONNX artifact."""
    session = onnxruntime.InferenceSession(str(artifact.model_file), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feed)[0])


def sealed_graph(model: onnx.ModelProto, place: Path) -> Artifact:
    """Write a graph into a new folder, and seal it."""
    place.mkdir(parents=True)
    onnx.save(model, place / "model.onnx")
    return seal(place, "onnx", "onnx")


def weights_of(artifact: Artifact) -> dict[str, NDArray[Any]]:
    """Return the initializers of an ONNX artifact."""
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(artifact.model_file).graph.initializer}
