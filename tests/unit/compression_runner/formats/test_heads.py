"""The task of a classification head by its config.json alone."""

from typing import Any

import pytest

from compression_runner.errors import InvalidInput
from compression_runner.formats.source.head import several_labels
from compression_runner.formats.source.transformers_config import check_task

ONE = {"id2label": {"0": "LABEL_0"}}
THREE = {"id2label": {str(number): f"LABEL_{number}" for number in range(3)}}
FILES = ["config.json", "tokenizer.json"]


def _check(task: str, **config: Any) -> str:
    return check_task({"architectures": ["BertForSequenceClassification"], **config}, task, FILES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "config"),
    [
        ("text-classification", {}),
        ("text-classification", {**THREE, "problem_type": "multi_label_classification"}),
        ("text-classification", {**ONE, "problem_type": "multi_label_classification"}),
        ("text-regression", ONE),
        ("text-regression", {**ONE, "problem_type": "regression"}),
        ("text-regression", {"num_labels": 1}),
    ],
)
def test_heads_of_the_task_are_accepted(task: str, config: dict[str, Any]) -> None:
    assert _check(task, **config) == "BertForSequenceClassification"


@pytest.mark.parametrize(
    ("task", "config", "message"),
    [
        ("text-classification", ONE, r"spec\.model\.task.*answers with numbers.*1 label\).*use task text-regression"),
        ("text-classification", {**ONE, "problem_type": "single_label_classification"}, r"use task text-regression"),
        ("text-classification", {**THREE, "problem_type": "regression"}, r"3 labels, problem_type regression.*onnx"),
        ("text-regression", THREE, r"the model has 3 labels.*use task text-classification"),
        ("text-regression", {}, r"the model has 2 labels"),
        ("text-regression", {**THREE, "problem_type": "regression"}, r"answers with 3 numbers.*use task onnx"),
    ],
)
def test_heads_of_another_task_are_refused(task: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        _check(task, **config)


def test_an_image_head_of_one_number_needs_task_onnx() -> None:
    config = {"architectures": ["ViTForImageClassification"], **ONE}
    with pytest.raises(InvalidInput, match=r"answers with numbers.*export the model to ONNX, and use task onnx"):
        check_task(config, "image-classification", FILES)


def test_problem_type_determines_several_labels() -> None:
    assert several_labels({"problem_type": "multi_label_classification"}) is True
    assert several_labels({"problem_type": "single_label_classification"}) is False
    assert several_labels(THREE) is None
