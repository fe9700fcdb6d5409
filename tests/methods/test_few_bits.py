"""Weights of few bits and of many zeros on MiniLM and real sentences: what looks at activations loses less."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet, load_samples
from compression_runner.measurement.predictor import Predictor
from compression_runner.methods.method import Outcome, StageContext
from compression_runner.methods.registry import METHODS
from compressionjob.data import CalibrationData, DataRole
from compressionjob.methods.prune import Prune
from compressionjob.methods.quantize import Quantize
from samples.text import minilm, sentences

CALIBRATED, MEASURED = 64, 100


class Sentences:
    """The first sentences, to calibrate with."""

    sequence_length = 64

    def __init__(self, samples: SampleSet) -> None:
        self._samples = samples

    def samples(self, role: DataRole, model_dir: Path) -> SampleSet:
        assert role == "calibration"
        return self._samples

    def teacher(self) -> Artifact:
        raise AssertionError("nothing is taught here")


class Bench:
    """MiniLM as a graph, and how far a result's embeddings of other sentences are from its own."""

    def __init__(self, folder: Path) -> None:
        minilm(folder / "source")
        (folder / "exported").mkdir()
        context = StageContext(folder / "exported", "spec.model.source")
        source = seal(folder / "source", "transformers", "text-embedding")
        self.model = METHODS["export"].run(source, None, context).artifact
        sentences(folder, CALIBRATED + MEASURED)
        assert pq.read_metadata(folder / "sentences.parquet").num_rows == CALIBRATED + MEASURED
        every = load_samples(
            CalibrationData.model_validate({"source": "file:///sentences.parquet", "limit": 1000}),
            folder / "sentences.parquet",
            task="text-embedding",
            model_dir=self.model.path,
            sequence_length=64,
        )
        self.data = Sentences(every.only(list(range(CALIBRATED))))
        self._measured = every.only(list(range(CALIBRATED, CALIBRATED + MEASURED)))
        self._truth = self._embeddings(self.model)

    def apply(self, method: str, parameters: Any, into: Path) -> Outcome:
        into.mkdir()
        context = StageContext(into, f"spec.pipeline[0].{method}", data=self.data)
        return METHODS[method].run(self.model, parameters, context)

    def cosine(self, result: Artifact) -> float:
        return float((self._embeddings(result) * self._truth).sum(1).mean())

    def _embeddings(self, artifact: Artifact) -> np.ndarray:
        with Predictor(artifact.model_file, 2) as predictor:
            parts = [
                predictor.run(self._measured.batch(indices, predictor.inputs))[0]
                for indices in self._measured.batches(predictor.inputs, 25)
            ]
        found = np.concatenate([np.asarray(part, np.float32) for part in parts])
        return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("minilm"))


def few_bits(bench: Bench, into: Path, algorithm: str, dtype: str) -> tuple[float, Outcome]:
    parameters = Quantize.model_validate(
        {"method": "weight-only", "dtype": dtype, "algorithm": algorithm, "groupSize": 64}
    )
    outcome = bench.apply("quantize", parameters, into)
    return bench.cosine(outcome.artifact), outcome


def test_int8_is_a_third_of_the_size_and_the_same_embeddings(bench: Bench, tmp_path: Path) -> None:
    cosine, outcome = few_bits(bench, tmp_path / "out", "rtn", "int8")
    assert cosine > 0.998
    assert outcome.artifact.size_bytes < 0.3 * bench.model.size_bytes


@pytest.mark.parametrize("algorithm", ["gptq", "awq"])
def test_three_bits_lose_less_by_looking_at_activations(bench: Bench, tmp_path: Path, algorithm: str) -> None:
    nearest, _ = few_bits(bench, tmp_path / "rtn", "rtn", "int3")
    calibrated, outcome = few_bits(bench, tmp_path / algorithm, algorithm, "int3")
    assert outcome.details["storedBits"] == 4
    assert 1 - calibrated < 0.7 * (1 - nearest)


@pytest.mark.parametrize("pattern", ["unstructured", "2:4"])
def test_half_the_weights_at_zero_lose_less_by_looking_at_activations(
    bench: Bench, tmp_path: Path, pattern: str
) -> None:
    lost = {}
    for method in ("wanda", "sparsegpt"):
        settings = {"method": method, "sparsity": "0.5", "pattern": pattern}
        outcome = bench.apply("prune", Prune.model_validate(settings), tmp_path / method)
        assert outcome.details["sparsity"] == pytest.approx(0.5, abs=0.001)
        lost[method] = 1 - bench.cosine(outcome.artifact)
    assert lost["sparsegpt"] < lost["wanda"]
    if pattern == "2:4":
        outcome = bench.apply("prune", Prune.model_validate(settings | {"method": "magnitude"}), tmp_path / "magnitude")
        assert lost["wanda"] < 1 - bench.cosine(outcome.artifact)
