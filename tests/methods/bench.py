"""Measure a stage's effect on the embeddings of real sentences, with MiniLM."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import load_samples
from compression_runner.inference.opening import engine_of, open_predictor
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.data import CalibrationData
from samples.text import minilm, sentences
from tests.support.stage_data import calibration
from tests.support.stages import apply_method

CALIBRATED, MEASURED = 64, 100


class EmbeddingBenchmark:
    """MiniLM as a graph, calibration sentences, and the cosine similarity of embeddings of other sentences."""

    def __init__(self, folder: Path) -> None:
        minilm(folder / "source")
        (folder / "exported").mkdir()
        context = StageContext(folder / "exported", "spec.model.source")
        source = seal(folder / "source", "transformers", "text-embedding")
        self.model = METHODS["export", ""].run(source, None, context).artifact
        sentences(folder, CALIBRATED + MEASURED)
        assert pq.read_metadata(folder / "sentences.parquet").num_rows == CALIBRATED + MEASURED
        samples = load_samples(
            CalibrationData.model_validate({"source": "file:///sentences.parquet", "limit": 1000}),
            folder / "sentences.parquet",
            task="text-embedding",
            model_dir=self.model.path,
            sequence_length=64,
        )
        self.data = calibration(samples.only(list(range(CALIBRATED))), sequence_length=64)
        self._measured = samples.only(list(range(CALIBRATED, CALIBRATED + MEASURED)))
        self._truth = self._embeddings(self.model)

    def apply(self, method: str, parameters: Any, into: Path) -> Outcome:
        into.mkdir()
        context = StageContext(into, f"spec.pipeline[0].{method}", data=self.data)
        return apply_method(method, self.model, parameters, context)

    def cosine(self, result: Artifact) -> float:
        return float((self._embeddings(result) * self._truth).sum(1).mean())

    def _embeddings(self, artifact: Artifact) -> np.ndarray:
        with open_predictor(artifact.model_file, 2, engine_of(artifact.model_file)) as predictor:
            parts = [
                predictor.run(self._measured.batch(indices, predictor.inputs))[0]
                for indices in self._measured.batches(predictor.inputs, 25)
            ]
        embeddings = np.concatenate([np.asarray(part, np.float32) for part in parts])
        return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
