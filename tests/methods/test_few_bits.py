"""Low-bit and sparse weights of MiniLM on real sentences: methods that use activations lose less."""

from pathlib import Path

import pytest

from compression_runner.stages.method import Outcome
from compressionjob.methods.prune import Prune
from compressionjob.methods.registry import Quantize
from tests.methods.bench import EmbeddingBenchmark

pytestmark = pytest.mark.real_data


def few_bits(bench: EmbeddingBenchmark, into: Path, algorithm: str, dtype: str) -> tuple[float, Outcome]:
    parameters = Quantize.model_validate(
        {"method": "weight-only", "dtype": dtype, "algorithm": algorithm, "groupSize": 64}
    )
    outcome = bench.apply("quantize", parameters, into)
    return bench.cosine(outcome.artifact), outcome


def test_int8_keeps_embeddings_at_a_third_of_the_size(bench: EmbeddingBenchmark, tmp_path: Path) -> None:
    cosine, outcome = few_bits(bench, tmp_path / "out", "rtn", "int8")
    assert cosine > 0.998
    assert outcome.artifact.size_bytes < 0.3 * bench.model.size_bytes


@pytest.mark.parametrize("algorithm", ["gptq", "awq"])
def test_calibrated_three_bits_lose_less_than_rtn(bench: EmbeddingBenchmark, tmp_path: Path, algorithm: str) -> None:
    nearest, _ = few_bits(bench, tmp_path / "rtn", "rtn", "int3")
    calibrated, outcome = few_bits(bench, tmp_path / algorithm, algorithm, "int3")
    assert outcome.details["storedBits"] == 4
    assert 1 - calibrated < 0.7 * (1 - nearest)


@pytest.mark.parametrize("pattern", ["unstructured", "2:4"])
def test_calibrated_pruning_to_half_loses_less_than_magnitude(
    bench: EmbeddingBenchmark, tmp_path: Path, pattern: str
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
