"""Factors of MiniLM's weights at nine tenths of its size, on real sentences, and of a CNN's kernels."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from compression_runner.artifact import Artifact, seal
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from compressionjob.methods.factorize import Factorize
from samples.images import CHECKPOINT, read
from tests.methods.bench import EmbeddingBenchmark

pytestmark = pytest.mark.real_data


def factors(bench: EmbeddingBenchmark, into: Path, **parameters: Any) -> float:
    outcome = bench.apply("factorize", Factorize.model_validate({"budget": "0.9", **parameters}), into)
    assert 0.88 * bench.model.size_bytes < outcome.artifact.size_bytes <= 0.9 * bench.model.size_bytes
    return bench.cosine(outcome.artifact)


@pytest.mark.parametrize("method", ["svd", "nmf"])
def test_known_activations_lower_the_loss_at_nine_tenths_of_the_size(
    bench: EmbeddingBenchmark, tmp_path: Path, method: str
) -> None:
    words: dict[str, Any] = {"method": method, "include": ["*word_embeddings*"]}
    plain = factors(bench, tmp_path / "plain", **words)
    aware = factors(bench, tmp_path / "aware", **words, activationAware=True)
    assert aware > 0.985
    assert 1 - aware < 0.6 * (1 - plain)


def test_a_shared_budget_keeps_the_embeddings(bench: EmbeddingBenchmark, tmp_path: Path) -> None:
    assert factors(bench, tmp_path / "aware", activationAware=True) > 0.985


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Return the small ResNet on Fashion-MNIST as a graph."""
    into = tmp_path_factory.mktemp("resnet")
    source = tmp_path_factory.mktemp("source")
    for file in CHECKPOINT.iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    artifact = seal(source, "transformers", "image-classification")
    return METHODS["export", ""].run(artifact, None, StageContext(into, "spec.model.source")).artifact


def accuracy(artifact: Artifact) -> float:
    images, labels = read("t10k")
    pixels = (images[:1000, None].astype(np.float32) / 255 - 0.5) / 0.5
    session = onnxruntime.InferenceSession(str(artifact.model_file), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"pixel_values": pixels})
    return float((logits.argmax(1) == labels[:1000]).mean())


@pytest.mark.parametrize("method", ["tucker", "cp"])
def test_a_cnn_at_four_fifths_of_its_size_is_nearly_as_accurate(resnet: Artifact, tmp_path: Path, method: str) -> None:
    parameters = Factorize.model_validate({"method": method, "budget": "0.8"})
    outcome = METHODS["factorize", ""].run(resnet, parameters, StageContext(tmp_path, "spec.pipeline[0].factorize"))
    assert outcome.artifact.size_bytes <= 0.8 * resnet.size_bytes
    assert accuracy(outcome.artifact) > accuracy(resnet) - 0.01
