"""The prune stage on models and data of a test's own."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.data import DataRole
from compressionjob.methods.prune import Prune


class Arrays:
    """Calibration data as a job's stages get it."""

    sequence_length = 16

    def __init__(self, **arrays: np.ndarray) -> None:
        count = len(next(iter(arrays.values())))
        self._set = SampleSet(
            [{name: array[row] for name, array in arrays.items()} for row in range(count)], "sha256:0"
        )

    def samples(self, role: DataRole, model_dir: Path) -> SampleSet:
        assert role == "calibration"
        return self._set

    def teacher(self) -> Artifact:
        raise AssertionError("nothing is taught here")


TOKENS = Arrays(tokens=np.random.default_rng(4).integers(0, 40, (50, 8)))


def apply(source: Artifact, into: Path, data: Arrays = TOKENS, **parameters: Any) -> Outcome:
    into.mkdir(parents=True)
    settings = {"sparsity": "0.5"} | parameters
    context = StageContext(into, "spec.pipeline[0].prune", data=data)
    return METHODS["prune"].run(source, Prune.model_validate(settings), context)


def sealed(model: onnx.ModelProto, place: Path) -> Artifact:
    place.mkdir(parents=True)
    onnx.save(model, place / "model.onnx")
    return seal(place, "onnx", "onnx")


def weights_of(artifact: Artifact) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(artifact.model_file).graph.initializer}
