"""SHAP values of models whose values are known, and the parts of inputs that they belong to."""

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
from compression_runner.evaluation.attributions.players import players_of
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


def test_values_of_a_linear_model_are_its_weights_times_what_is_unusual(linear: Linear) -> None:
    weights = np.random.default_rng(1).normal(size=(WIDTH, 1)).astype(np.float32)
    model = linear(weights, "tabular-regression")
    players = players_of(DATA, 3, "features", space_of(DATA, "features"))
    assert players.names == NAMES
    found = shap_values(model, DATA, players, None, seed=0)
    assert found == pytest.approx(weights[:, 0] * (ROWS[3] - ROWS.mean(axis=0)), abs=1e-4)


def test_a_class_is_explained_by_its_score_above_the_mean(linear: Linear) -> None:
    weights = np.random.default_rng(2).normal(size=(WIDTH, 3)).astype(np.float32)
    players = players_of(DATA, 0, "features", space_of(DATA, "features"))
    above = weights[:, 1] - weights.mean(axis=1)
    found = shap_values(linear(weights), DATA, players, 1, seed=0)
    assert found == pytest.approx(above * (ROWS[0] - ROWS.mean(axis=0)), abs=1e-4)


def test_agreement_is_a_cosine() -> None:
    one = np.array([1.0, 0.0])
    assert agreement(one, np.array([2.0, 0.0])) == pytest.approx(1.0)
    assert agreement(one, np.array([0.0, 1.0])) == pytest.approx(0.0)
    assert agreement(one, np.zeros(2)) == 0.0
    assert agreement(np.zeros(2), np.zeros(2)) == 1.0


def test_models_that_answer_alike_for_other_reasons_do_not_agree(linear: Linear) -> None:
    """Two columns tell the same: one model looks at the first, the other at the second."""
    rows = ROWS.copy()
    rows[:, 1] = rows[:, 0]
    data = SampleSet(samples=[{"x": row} for row in rows], digest="", unnamed=True, features=NAMES)
    first, second = (np.zeros((WIDTH, 2), np.float32) for _ in range(2))
    first[0, 1] = second[1, 1] = 3.0
    clean = (rows @ first).astype(np.float32)
    assert np.array_equal(clean, rows @ second)
    told: list[float] = []
    found = attributions(LIMIT, (linear(first), linear(second)), data, clean, 0.95, same=False, advance=told.append)
    assert found.samples == 10
    assert found.agreement.value == pytest.approx(0.0, abs=0.01)
    assert found.agreement.high < 0.9
    assert told[-1] == 1.0
    example = found.examples[0]
    assert (np.argmax(np.abs(example.baseline)), np.argmax(np.abs(example.compressed))) == (0, 1)
    assert example.values[2] == f"{rows[example.sample, 2]:.6g}"
    again = attributions(LIMIT, (linear(first), linear(first)), data, clean, 0.95, same=False, advance=told.append)
    assert again.agreement.low > 0.9999
    exact = attributions(LIMIT, (linear(first), linear(first)), data, clean, 0.95, same=True, advance=told.append)
    assert exact.agreement.low == exact.agreement.high == 1.0


def test_patches_of_an_image_are_left_out_for_the_mean_of_their_channel() -> None:
    images = np.random.default_rng(3).uniform(0, 1, (5, 3, 28, 14)).astype(np.float32)
    data = SampleSet(samples=[{"x": image} for image in images], digest="", unnamed=True)
    players = players_of(data, 0, "image", space_of(data, "image"))
    assert players.grid == [7, 7]
    assert len(players.names) == 49
    presence = np.ones((1, 49), dtype=np.bool_)
    presence[0, players.names.index("6,0")] = False
    ((changed,),) = ([sample["x"]] for sample in players.inputs(presence))
    assert np.array_equal(changed[:, :24], images[0][:, :24])
    usual = images.mean(axis=(0, 2, 3))
    assert changed[:, 24:, :2] == pytest.approx(np.broadcast_to(usual[:, None, None], (3, 4, 2)), abs=1e-5)
    assert np.array_equal(changed[:, 24:, 2:], images[0][:, 24:, 2:])
    content = base64.b64decode(players.picture.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(content)) as opened:
        assert opened.size == (14, 28)
        assert opened.mode == "RGB"


def test_the_picture_of_a_large_image_is_as_large_as_the_report_draws_it() -> None:
    image = np.random.default_rng(3).uniform(0, 1, (3, 224, 448)).astype(np.float32)
    data = SampleSet(samples=[{"x": image}], digest="", unnamed=True)
    picture = players_of(data, 0, "image", space_of(data, "image")).picture
    with Image.open(io.BytesIO(base64.b64decode(picture.removeprefix("data:image/png;base64,")))) as opened:
        assert opened.size == (140, 70)


def test_tokens_of_a_text_are_left_out_for_the_mask(tmp_path: Path) -> None:
    model = tiny_models.bert(tmp_path / "model", labels=3)
    table = tiny_models.text_data(tmp_path / "d.parquet", labels=[0, 1, 2] * 4)
    evaluation = EvaluationData.model_validate({"source": f"file://{table}"})
    data = load_samples(evaluation, table, task="text-classification", model_dir=model, sequence_length=16)
    assert data.texts is not None
    players = players_of(data, 0, "text", None)
    assert len(players.names) == len(data.samples[0]["input_ids"]) - 2
    assert " ".join(players.names) == data.texts.rows[0]
    ids = data.samples[0]["input_ids"]
    (nothing,) = players.inputs(np.zeros((1, len(players.names)), dtype=np.bool_))
    assert nothing["input_ids"][0] == ids[0]
    assert nothing["input_ids"][-1] == ids[-1]
    assert len(set(nothing["input_ids"][1:-1].tolist())) == 1
    (tmp_path / "graph").mkdir()
    export(seal(model, "transformers", "text-classification"), tmp_path / "graph")
    with open_predictor(tmp_path / "graph" / "model.onnx", 1, "onnxruntime") as predictor:
        answering = Answering(predictor, "text-classification", 1, None)
        clean = answering.scores(data)
        found = attributions(LIMIT, (answering, answering), data, clean, 0.95, same=False, advance=lambda share: None)
        explained = found.examples[0]
        players = players_of(data, explained.sample, "text", None)
        nothing_there = players.inputs(np.zeros((1, len(players.names)), dtype=np.bool_))
        empty = answering.scores(replace(data, samples=nothing_there))[0]
    assert found.agreement.value == pytest.approx(1.0)
    # Shapley values add up to what all players together add (Lundberg and Lee's local accuracy).
    answer, whole = explained.answer, clean[explained.sample]
    added = (whole[answer] - whole.mean()) - (empty[answer] - empty.mean())
    assert sum(explained.baseline) == pytest.approx(added, abs=2e-3)


def test_samples_are_taken_from_all_over_the_data() -> None:
    assert spread(10, 5) == [0, 2, 4, 6, 8]
    assert spread(3, 5) == [0, 1, 2]
