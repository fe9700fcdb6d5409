"""Static INT8 on real models: MiniLM in onnxruntime and OpenVINO, a CNN on Fashion-MNIST."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.dataset.images import prepare_images
from compression_runner.inference.opening import engine_of, open_predictor
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.registry import Quantize
from samples.images import fashion
from tests.methods.bench import EmbeddingBenchmark
from tests.support.cpu import least_cosine
from tests.support.stage_data import calibration
from tests.support.stages import apply_method

pytestmark = pytest.mark.real_data

CALIBRATED = 64


class FashionBenchmark:
    """The CNN as a graph, the first images for calibration, and the other images and labels for measurement."""

    def __init__(self, folder: Path) -> None:
        fashion(folder / "data", 1000)
        (folder / "exported").mkdir()
        source = seal(folder / "data" / "model", "transformers", "image-classification")
        context = StageContext(folder / "exported", "spec.model.source")
        self.model = METHODS["export", ""].run(source, None, context).artifact
        table = pq.read_table(folder / "data" / "images.parquet")
        images = prepare_images(table.column("image").to_pylist(), source.path)
        self._calibration = SampleSet([{"pixel_values": image} for image in images[:CALIBRATED]], "sha256:0")
        self._measured = {"pixel_values": np.stack(images[CALIBRATED:])}
        self._labels = np.array(table.column("label").to_pylist())[CALIBRATED:]

    def quantize(self, into: Path, **parameters: Any) -> Outcome:
        into.mkdir()
        context = StageContext(into, "spec.pipeline[0].quantize", data=calibration(self._calibration))
        return apply_method(
            "quantize", self.model, Quantize.model_validate({"method": "static", **parameters}), context
        )

    def accuracy(self, artifact: Artifact) -> float:
        with open_predictor(artifact.model_file, 2, engine_of(artifact.model_file)) as predictor:
            answers = np.asarray(predictor.run(self._measured)[0])
        return float((answers.argmax(1) == self._labels).mean())


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> FashionBenchmark:
    return FashionBenchmark(tmp_path_factory.mktemp("fashion"))


def minilm_int8(bench: EmbeddingBenchmark, into: Path, **parameters: Any) -> tuple[float, Outcome]:
    outcome = bench.apply("quantize", Quantize.model_validate({"method": "static", **parameters}), into)
    return bench.cosine(outcome.artifact), outcome


@pytest.mark.parametrize("calibration", ["minmax", "percentile", "entropy"])
def test_a_cnn_loses_less_than_a_point_at_a_third_of_its_size(
    images: FashionBenchmark, tmp_path: Path, calibration: str
) -> None:
    outcome = images.quantize(tmp_path / "out", calibration=calibration)
    assert outcome.artifact.size_bytes < 0.36 * images.model.size_bytes
    assert images.accuracy(outcome.artifact) > images.accuracy(images.model) - 0.01


def test_a_cnn_for_openvino_loses_less_than_a_point(images: FashionBenchmark, tmp_path: Path) -> None:
    outcome = images.quantize(tmp_path / "out", backend="openvino")
    assert images.accuracy(outcome.artifact) > images.accuracy(images.model) - 0.01


def test_a_cnn_in_float8_loses_less_than_two_points(images: FashionBenchmark, tmp_path: Path) -> None:
    outcome = images.quantize(tmp_path / "out", dtype="float8")
    assert images.accuracy(outcome.artifact) > images.accuracy(images.model) - 0.02


def test_minilm_is_a_quarter_of_its_size_and_smoothing_keeps_its_embeddings(
    bench: EmbeddingBenchmark, tmp_path: Path
) -> None:
    plain, outcome = minilm_int8(bench, tmp_path / "plain")
    smooth, smoothed = minilm_int8(bench, tmp_path / "smooth", smoothQuant="0.8")
    assert outcome.artifact.size_bytes < 0.26 * bench.model.size_bytes
    assert smoothed.artifact.size_bytes < 0.26 * bench.model.size_bytes
    # All operators in INT8 leave 0.40.
    assert plain > 0.98
    assert smooth > 0.995


def test_minilm_for_openvino_keeps_its_embeddings(bench: EmbeddingBenchmark, tmp_path: Path) -> None:
    cosine, outcome = minilm_int8(bench, tmp_path / "out", backend="openvino")
    assert cosine > least_cosine(0.995)
    assert outcome.artifact.size_bytes < 0.27 * bench.model.size_bytes


def test_minilm_in_float8_keeps_its_embeddings(bench: EmbeddingBenchmark, tmp_path: Path) -> None:
    cosine, outcome = minilm_int8(bench, tmp_path / "out", dtype="float8")
    assert cosine > 0.99
    assert outcome.artifact.size_bytes < 0.26 * bench.model.size_bytes
