"""Arrays by the names of a model's inputs: batch axes, arrays shared by all samples, and texts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet, load_samples
from compression_runner.errors import InvalidInput
from compression_runner.inference.predictor import TensorInfo
from compressionjob.data import EvaluationData
from compressionjob.tasks import Task
from tests.support.stage_data import array_samples

FLOAT = np.dtype(np.float32)
X = TensorInfo("x", FLOAT, (None, 3))


def numbers(*shape: int) -> NDArray[np.float32]:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def load(
    place: Path, arrays: dict[str, NDArray[Any]], *inputs: TensorInfo, task: Task = "onnx", limit: int = 100
) -> SampleSet:
    np.savez(place / "data.npz", **arrays)  # type: ignore[arg-type]
    data = EvaluationData.model_validate({"source": "file:///data.npz", "limit": limit})
    return load_samples(data, place / "data.npz", task=task, model_dir=place, sequence_length=8, inputs=inputs)


def test_samples_are_stacked_along_the_batch_axis_of_each_input() -> None:
    states = numbers(4, 2, 5)
    data = array_samples(x=numbers(4, 3), state=states)
    state = TensorInfo("state", FLOAT, (2, None, 5), axis=1)
    batch = data.batch([1, 3], [X, state])
    assert batch["state"].shape == (2, 2, 5)
    assert np.array_equal(batch["state"][:, 1], states[3])
    with pytest.raises(InvalidInput, match=r"'state'.*shape \(2, 5\) in the data; the model takes \(3, 5\)"):
        data.batch([0], [X, TensorInfo("state", FLOAT, (3, None, 5), axis=1)])


def test_a_single_number_holds_for_all_samples(tmp_path: Path) -> None:
    rate = TensorInfo("rate", np.dtype(np.int64), (), axis=None)
    data = load(tmp_path, {"rate": np.array(16, np.int64), "x": numbers(5, 3)}, X, rate, limit=4)
    assert len(data) == 4
    assert data.batch([0, 2], [X, rate])["rate"] == 16
    boxed = data.batch([0, 2], [TensorInfo("rate", np.dtype(np.int64), (1,), axis=None)])
    assert boxed["rate"].shape == (1,)


def test_an_input_without_a_batch_axis_is_shared(tmp_path: Path) -> None:
    anchors = TensorInfo("anchors", FLOAT, (7, 2), axis=None)
    data = load(tmp_path, {"anchors": numbers(7, 2), "x": numbers(5, 3)}, X, anchors, limit=4)
    assert len(data) == 4
    assert np.array_equal(data.batch([3], [anchors])["anchors"], numbers(7, 2))


def test_a_free_first_dimension_counts_samples_if_no_other(tmp_path: Path) -> None:
    frames = TensorInfo("frames", FLOAT, (None, 3), axis=None, symbols=("frames", ""))
    rate = TensorInfo("rate", np.dtype(np.int64), (), axis=None)
    data = load(tmp_path, {"frames": numbers(5, 3), "rate": np.array(2)}, frames, rate)
    assert len(data) == 5
    assert data.samples[2]["frames"].tolist() == [6.0, 7.0, 8.0]
    both = load(tmp_path, {"frames": numbers(5, 3), "x": numbers(2, 3)}, frames, X)
    assert len(both) == 2, "frames are shared by samples of x"


def test_samples_that_differ_in_a_shared_input_come_singly(tmp_path: Path) -> None:
    rate = TensorInfo("rate", np.dtype(np.int64), (), axis=None)
    data = load(tmp_path, {"rate": np.array([1, 2, 2]), "x": numbers(3, 3)}, X, rate)
    assert list(data.batches([X, rate], 2)) == [[0], [1], [2]]
    assert data.batch([1, 2], [rate])["rate"] == 2
    with pytest.raises(InvalidInput, match=r"rate has no batch axis.*samples differ in it; set spec\.benchmark\.batch"):
        data.batch([0, 1], [rate])


def test_an_input_of_fixed_size_one_may_vary_by_sample() -> None:
    data = array_samples(x=numbers(4, 3), mask=numbers(4, 6))
    mask = TensorInfo("mask", FLOAT, (1, 6), axis=None)
    assert np.array_equal(data.batch([2], [X, mask])["mask"], numbers(4, 6)[[2]])
    assert data.differs([X, mask])
    assert not data.only([2]).differs([X, mask])


def test_single_numbers_alone_are_no_samples(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no array counts the samples: all samples share rate"):
        load(tmp_path, {"rate": np.array(3)})


def test_measured_batch_axes_are_used() -> None:
    data = array_samples(x=numbers(4, 6, 2))
    assert data.batch([0, 1], [TensorInfo("x", FLOAT, (None, None, 2))])["x"].shape == (2, 6, 2)
    measured = SampleSet(data.samples, data.digest, axes={"x": 1})
    assert measured.batch([0, 1], [TensorInfo("x", FLOAT, (None, None, 2))])["x"].shape == (6, 2, 2)


def test_texts_have_the_type_of_the_input(tmp_path: Path) -> None:
    city = TensorInfo("city", np.dtype(np.object_), (None, 1))
    data = load(tmp_path, {"city": np.array([["Oslo"], ["Rio"]]), "label": np.array([0, 1])}, city)
    batch = data.batch([1, 0], [city])["city"]
    assert batch.dtype == np.object_
    assert batch.tolist() == [["Rio"], ["Oslo"]]
    objects = np.array([["Oslo"], ["Rio"]], dtype=object)
    with pytest.raises(InvalidInput, match="city holds Python objects; store texts as an array of dtype str"):
        load(tmp_path, {"city": objects}, city)


def test_a_table_of_several_inputs_may_be_an_npz(tmp_path: Path) -> None:
    inputs = [TensorInfo("age", FLOAT, (None, 1)), TensorInfo("city", np.dtype(np.object_), (None, 1))]
    arrays = {"age": numbers(2), "city": np.array([["Oslo"], ["Rio"]]), "label": np.array([0, 1])}
    data = load(tmp_path, arrays, *inputs, task="tabular-classification")
    assert data.labels is not None
    assert data.batch([1], inputs)["age"].tolist() == [[1.0]]
