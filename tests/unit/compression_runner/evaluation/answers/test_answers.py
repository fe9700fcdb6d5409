"""The judged outputs, the order of rows, and the reuse of stored answers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.answers import answers, chosen_outputs, kept_answers, output_shapes
from compression_runner.inference.answer_parts import OutputShape
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.inference.predictor import TensorInfo
from compressionjob.tasks import Task


def _data(count: int, width: int) -> SampleSet:
    rows = np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)
    return SampleSet(samples=[{"x": row} for row in rows], digest="sha256:0")


@pytest.mark.parametrize("batch", ["batch", 4])
def test_rows_are_in_the_order_of_the_data(batch: int | str, linear_model: Callable[..., Path]) -> None:
    weights = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
    data = _data(10, 3)
    progress: list[float] = []
    with OnnxPredictor(linear_model("m", weights, batch), threads=1) as predictor:
        rows = answers(predictor, data, "image-classification", 3, progress.append)
    expected = np.stack([np.asarray(sample["x"], np.float32) for sample in data.samples]) @ weights
    assert np.allclose(rows, expected, atol=1e-5)
    assert progress[-1] == 1.0


@pytest.mark.parametrize("task", ["text-regression", "tabular-regression"])
def test_a_regression_output_may_be_named_logits(task: Task, linear_model: Callable[..., Path]) -> None:
    weights, data = np.ones((3, 1), dtype=np.float32), _data(4, 3)
    with OnnxPredictor(linear_model("m", weights), threads=1) as predictor:
        rows = answers(predictor, data, task, 2)
        assert output_shapes(predictor, data, task) == ()
        assert output_shapes(predictor, data, "onnx") == (OutputShape("logits", (1,), (True,)),)
    assert rows.shape == (4, 1)
    assert np.allclose(rows[:, 0], [np.sum(sample["x"]) for sample in data.samples], atol=1e-5)


def test_a_model_without_class_scores_is_refused(linear_model: Callable[..., Path], tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0)],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("total", TensorProto.FLOAT, [])],
    )
    path = tmp_path / "sum.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    with (
        OnnxPredictor(path, threads=1) as predictor,
        pytest.raises(InvalidInput, match=r"spec\.model\.task.*total float32"),
    ):
        answers(predictor, _data(2, 3), "text-classification", 1)


@pytest.mark.parametrize("shape", [(None, None, 9), (1, 8, 9), (None, 19, 64, 64)])
def test_scores_of_tokens_and_pixels_are_not_class_scores(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(InvalidInput, match=r"the model's outputs do not fit: logits float32.*name the task"):
        chosen_outputs([TensorInfo("logits", np.dtype(np.float32), shape)], "text-classification")
    pooled = TensorInfo("logits", np.dtype(np.float32), (None, 1000, 1, 1))
    assert chosen_outputs([pooled], "image-classification") == [pooled]


def test_a_closed_predictor_does_not_answer(linear_model: Callable[..., Path]) -> None:
    predictor = OnnxPredictor(linear_model("m", np.ones((2, 2), dtype=np.float32)), threads=1)
    predictor.close()
    with pytest.raises(ValueError, match="closed"):
        predictor.run({"x": np.ones((1, 2), dtype=np.float32)})


def test_kept_answers_are_not_computed_again(tmp_path: Path) -> None:
    computed = 0

    def compute() -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        nonlocal computed
        computed += 1
        return np.full((2, 3), 7, dtype=np.float32)

    path = tmp_path / "kept" / "abc.npy"
    first, second = kept_answers(path, compute), kept_answers(path, compute)
    assert computed == 1
    assert np.array_equal(first, second)
    kept_answers(None, compute)
    assert computed == 2
