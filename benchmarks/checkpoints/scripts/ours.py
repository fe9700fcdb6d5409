"""This project's quantization for vLLM, as a job's stage runs it: MODEL TARGET TOKENS GROUP_SIZE ALGORITHM."""

import json
import sys
from pathlib import Path

import numpy as np

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from compressionjob.data import DataRole
from compressionjob.methods.registry import Quantize


class Windows:
    """The calibration windows as data of a stage."""

    def __init__(self, tokens: Path, model: Artifact) -> None:
        """Read the windows, which have one length."""
        rows = [np.asarray(row, dtype=np.int64) for row in json.loads(tokens.read_text())]
        self.sequence_length = len(rows[0])
        self._model = model
        self._samples = SampleSet(
            [
                {"input_ids": row, "attention_mask": np.ones_like(row), "position_ids": np.arange(len(row))}
                for row in rows
            ],
            digest=f"sha256:{tokens.name}",
            padding={"input_ids": 0, "attention_mask": 0, "position_ids": 0},
        )

    def samples(self, role: DataRole, model_dir: Path) -> SampleSet:
        """Return the windows."""
        return self._samples

    def teacher(self) -> Artifact:
        """Return the unquantized model."""
        return self._model

    def model(self, location: str) -> Artifact:
        """Raise ValueError: the stage names no other model."""
        raise ValueError(f"there is no model {location}")


def main(model: str, target: str, tokens: str, group_size: str, algorithm: str) -> None:
    """Quantize the model, and write its checkpoint."""
    source, output = seal(Path(model), "transformers", "text-generation"), Path(target)
    output.mkdir(parents=True)
    stage = Quantize.model_validate(
        {
            "method": "weight-only",
            "backend": "vllm",
            "dtype": "int4",
            "algorithm": algorithm,
            "groupSize": int(group_size),
        }
    ).chosen()
    context = StageContext(output, "spec.pipeline[0].quantize", data=Windows(Path(tokens), source))
    METHODS["quantize", stage.variant].run(source, stage, context)


if __name__ == "__main__":
    main(*sys.argv[1:])
