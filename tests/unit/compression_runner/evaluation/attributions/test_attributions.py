"""SHAP values of models with known values, and the features of inputs."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compression_runner.artifact import seal
from compression_runner.dataset import SampleSet, load_samples
from compression_runner.evaluation.answers.model import Answering, spread
from compression_runner.evaluation.attributions.attributions import agreement, attributions, shap_values
from compression_runner.evaluation.attributions.shap_features import features_of
from compression_runner.evaluation.robustness.space import space_of
from compression_runner.formats.export import export
from compression_runner.inference.opening import open_predictor
from compressionjob.spec import EvaluationData
from compressionjob.trust_limits import AttributionLimit
from tests.support import tiny_models
from tests.support.graphs import Linear

WIDTH = 6
ROWS = np.random.default_rng(0).normal(size=(40, WIDTH)).astype(np.float32)
NAMES = [f"column {number}" for number in range(WIDTH)]
DATA = SampleSet(samples=[{"x": row} for row in ROWS], digest="", unnamed=True, features=NAMES)
LIMIT = AttributionLimit.model_validate({"minAgreement": "0.9", "samples": 10})


def test_shap_values_of_a_linear_model_are_weights_times_deviations(linear: Linear) -> None:
    weights = np.random.default_rng(1).normal(size=(WIDTH, 1)).astype(np.float32)
    model = linear(weights, "tabular-regression")
    features = features_of(DATA, 3, "features", space_of(DATA, "features"))
    assert features.names == NAMES
    values = shap_values(model, DATA, features, None, seed=0)
    assert values == pytest.approx(weights[:, 0] * (ROWS[3] - ROWS.mean(axis=0)), abs=1e-4)


def test_a_class_is_explained_by_its_score_above_the_mean(linear: Linear) -> None:
    weights = np.random.default_rng(2).normal(size=(WIDTH, 3)).astype(np.float32)
    features = features_of(DATA, 0, "features", space_of(DATA, "features"))
    above = weights[:, 1] - weights.mean(axis=1)
    values = shap_values(linear(weights), DATA, features, 1, seed=0)
    assert values == pytest.approx(above * (ROWS[0] - ROWS.mean(axis=0)), abs=1e-4)


def test_agreement_is_a_cosine() -> None:
    one = np.array([1.0, 0.0])
    assert agreement(one, np.array([2.0, 0.0])) == pytest.approx(1.0)
    assert agreement(one, np.array([0.0, 1.0])) == pytest.approx(0.0)
    assert agreement(one, np.zeros(2)) == 0.0
    assert agreement(np.zeros(2), np.zeros(2)) == 1.0


def test_equal_answers_with_different_attributions_do_not_agree(linear: Linear) -> None:
    """Return data with two equal columns, and two models that each use a different one."""
    rows = ROWS.copy()
    rows[:, 1] = rows[:, 0]
    data = SampleSet(samples=[{"x": row} for row in rows], digest="", unnamed=True, features=NAMES)
    first, second = (np.zeros((WIDTH, 2), np.float32) for _ in range(2))
    first[0, 1] = second[1, 1] = 3.0
    clean = (rows @ first).astype(np.float32)
    assert np.array_equal(clean, rows @ second)
    progress: list[float] = []
    report = attributions(
        LIMIT, (linear(first), linear(second)), data, clean, 0.95, same=False, advance=progress.append
    )
    assert report.samples == 10
    assert report.agreement.value == pytest.approx(0.0, abs=0.01)
    assert report.agreement.high < 0.9
    assert progress[-1] == 1.0
    example = report.examples[0]
    assert (np.argmax(np.abs(example.baseline)), np.argmax(np.abs(example.compressed))) == (0, 1)
    assert example.values[2] == f"{rows[example.sample, 2]:.6g}"
    again = attributions(LIMIT, (linear(first), linear(first)), data, clean, 0.95, same=False, advance=progress.append)
    assert again.agreement.low > 0.9999
    exact = attributions(LIMIT, (linear(first), linear(first)), data, clean, 0.95, same=True, advance=progress.append)
    assert exact.agreement.low == exact.agreement.high == 1.0


def test_missing_patches_get_the_mean_of_their_channel() -> None:
    images = np.random.default_rng(3).uniform(0, 1, (5, 3, 28, 14)).astype(np.float32)
    data = SampleSet(samples=[{"x": image} for image in images], digest="", unnamed=True)
    features = features_of(data, 0, "image", space_of(data, "image"))
    assert features.grid == [7, 7]
    assert len(features.names) == 49
    presence = np.ones((1, 49), dtype=np.bool_)
    presence[0, features.names.index("6,0")] = False
    ((changed,),) = ([sample["x"]] for sample in features.inputs(presence))
    assert np.array_equal(changed[:, :24], images[0][:, :24])
    usual = images.mean(axis=(0, 2, 3))
    assert changed[:, 24:, :2] == pytest.approx(np.broadcast_to(usual[:, None, None], (3, 4, 2)), abs=1e-5)
    assert np.array_equal(changed[:, 24:, 2:], images[0][:, 24:, 2:])
    content = base64.b64decode(features.picture.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(content)) as opened:
        assert opened.size == (14, 28)
        assert opened.mode == "RGB"


def test_the_picture_of_a_large_image_is_scaled_down() -> None:
    image = np.random.default_rng(3).uniform(0, 1, (3, 224, 448)).astype(np.float32)
    data = SampleSet(samples=[{"x": image}], digest="", unnamed=True)
    picture = features_of(data, 0, "image", space_of(data, "image")).picture
    with Image.open(io.BytesIO(base64.b64decode(picture.removeprefix("data:image/png;base64,")))) as opened:
        assert opened.size == (140, 70)


def test_missing_tokens_get_the_mask_token(tmp_path: Path) -> None:
    model = tiny_models.bert(tmp_path / "model", labels=3)
    table = tiny_models.text_data(tmp_path / "d.parquet", labels=[0, 1, 2] * 4)
    evaluation = EvaluationData.model_validate({"source": f"file://{table}"})
    data = load_samples(evaluation, table, task="text-classification", model_dir=model, sequence_length=16)
    assert data.texts is not None
    features = features_of(data, 0, "text", None)
    assert len(features.names) == len(data.samples[0]["input_ids"]) - 2
    assert " ".join(features.names) == data.texts.rows[0]
    ids = data.samples[0]["input_ids"]
    (nothing,) = features.inputs(np.zeros((1, len(features.names)), dtype=np.bool_))
    assert nothing["input_ids"][0] == ids[0]
    assert nothing["input_ids"][-1] == ids[-1]
    assert len(set(nothing["input_ids"][1:-1].tolist())) == 1
    (tmp_path / "graph").mkdir()
    export(seal(model, "transformers", "text-classification"), tmp_path / "graph")
    with open_predictor(tmp_path / "graph" / "model.onnx", 1, "onnxruntime") as predictor:
        answering = Answering(predictor, "text-classification", 1, None)
        clean = answering.scores(data)
        report = attributions(LIMIT, (answering, answering), data, clean, 0.95, same=False, advance=lambda share: None)
        explained = report.examples[0]
        features = features_of(data, explained.sample, "text", None)
        nothing_there = features.inputs(np.zeros((1, len(features.names)), dtype=np.bool_))
        empty = answering.scores(replace(data, samples=nothing_there))[0]
    assert report.agreement.value == pytest.approx(1.0)
    # Shapley values add up to the effect of all features together (Lundberg and Lee's local accuracy).
    answer, whole = explained.answer, clean[explained.sample]
    added = (whole[answer] - whole.mean()) - (empty[answer] - empty.mean())
    assert sum(explained.baseline) == pytest.approx(added, abs=2e-3)


def test_samples_are_evenly_spread_over_the_data() -> None:
    assert spread(10, 5) == [0, 2, 4, 6, 8]
    assert spread(3, 5) == [0, 1, 2]
