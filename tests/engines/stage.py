"""An engine's stage on a tiny language model."""

from pathlib import Path

import numpy as np

from compression_runner.artifact import Artifact
from compression_runner.dataset import SampleSet
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.registry import Quantize
from tests.support.stage_data import calibration
from tests.support.stages import apply_method


def rows() -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The tokens of the calibration samples."""
    generator = np.random.default_rng(3)
    return [generator.integers(3, 60, 24) for _ in range(16)]


def run(model: Artifact, into: Path, chosen: Quantize) -> Outcome:
    """The stage, as a pipeline runs it."""
    data = calibration(SampleSet([{"input_ids": row} for row in rows()], "sha256:0"), sequence_length=32)
    context = StageContext(made(into), "spec.pipeline[0].quantize", data=data)
    return apply_method("quantize", model, chosen, context)


def made(folder: Path) -> Path:
    """The folder, which there was none of."""
    folder.mkdir(parents=True)
    return folder
