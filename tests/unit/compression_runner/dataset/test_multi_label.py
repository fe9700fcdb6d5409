"""Labels of multi-label models, in every form that data may have."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compression_runner.dataset.multi_label import MultiLabel, label_count, label_sets, multi_label_of
from compression_runner.errors import InvalidInput

NAMES = {"toxic": 0, "rude": 1, "threat": 2}
SETS = [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def _model(folder: Path, **config: Any) -> Path:
    (folder / "config.json").write_text(json.dumps({"label2id": NAMES, **config}))
    return folder


@pytest.mark.parametrize(
    "values",
    [
        SETS,
        [[True, False, True], [False] * 3, [False, True, False]],
        [[1.0, 0.0, 1.0], [0.0] * 3, [0.0, 1.0, 0.0]],
        np.asarray(SETS),
        [np.asarray(row) for row in SETS],
        [["toxic", "threat"], [], ["rude"]],
        [[0, 2], [], [1]],
        [["toxic", "2"], [], "rude"],
        ["[1, 0, 1]", "[]", '["rude"]'],
    ],
)
def test_every_form_of_labels_gives_the_same_sets(values: Any, tmp_path: Path) -> None:
    assert label_sets(values, NAMES, _model(tmp_path)).tolist() == SETS


def test_numbers_shorter_than_the_labels_are_not_a_mask(tmp_path: Path) -> None:
    assert label_sets([[0, 1], [1]], NAMES, _model(tmp_path)).tolist() == [[1, 1, 0], [0, 1, 0]]


def test_a_single_label_is_0_or_1(tmp_path: Path) -> None:
    assert label_sets([1, 0, 1], {"spam": 0}, tmp_path).tolist() == [[1], [0], [1]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, 0, 1], [1, 0, 1, 0]], r"row 1 does not fit a model of 3 labels.*each of the 3 labels"),
        ([[0, 1, 0, 1], [0, 1, 0, 0]], r"row 0 does not fit a model of 3 labels"),
        ([["toxic"], ["polite"]], r"columns\.label.*'polite'.*row 1 has a value that is not a label.*0 \(toxic\)"),
        ([[0, 7]], r"'7'.*row 0 has a value that is not a label of the model"),
        ([["toxic"], None], r"row 1 is not a list of labels.*an empty list means that no label applies"),
        ([[0.5, 0, 1]], r"'0\.5'.*row 0 has a value"),
        (["[1, 0"], r"row 0 is not a list of labels.*as JSON"),
        ([[[1, 0, 1]]], r"row 0 is not a list of labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(values: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=message):
        label_sets(values, NAMES, _model(tmp_path))


def test_a_model_without_names_takes_a_number_for_each_label(tmp_path: Path) -> None:
    assert label_sets(SETS, {}, tmp_path).tolist() == SETS
    with pytest.raises(InvalidInput, match=r"row 0 has labels that the model does not name.*id2label"):
        label_sets([[0, 2], [1]], {}, tmp_path)


def test_problem_type_decides_before_lists_in_the_data(tmp_path: Path) -> None:
    lists, single = [[1, 0, 1]], [2]
    assert multi_label_of(tmp_path, single) is None
    assert multi_label_of(tmp_path, lists) == MultiLabel(logits=False)
    assert multi_label_of(_model(tmp_path), lists) == MultiLabel(logits=True)
    assert multi_label_of(_model(tmp_path), single) is None
    several = _model(tmp_path, problem_type="multi_label_classification")
    assert multi_label_of(several, None) == multi_label_of(several, single) == MultiLabel(logits=True)
    assert multi_label_of(several, None, graph=True) == MultiLabel(logits=False)
    one = _model(tmp_path, problem_type="single_label_classification")
    assert multi_label_of(one, single) is None
    with pytest.raises(InvalidInput, match=r"row 0 is a list.*single_label_classification.*give one label"):
        multi_label_of(one, lists)


def test_labels_are_counted_as_transformers_does() -> None:
    assert label_count({}) == 2
    assert label_count({"num_labels": 5}) == 5
    assert label_count({"id2label": {"0": "LABEL_0"}, "num_labels": 5}) == 1


def test_probabilities_set_a_label_above_one_half_and_logits_above_zero() -> None:
    scores = np.array([[0.2, 0.9]], dtype=np.float32)
    assert MultiLabel(logits=False).threshold(scores) == 0.5
    assert MultiLabel(logits=False).threshold(scores - 1) == 0.0
    assert MultiLabel(logits=True).threshold(scores) == 0.0
