"""Models that carry a state, answering sequences of steps as the whole-sequence operator does."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

from compression_runner.dataset import SampleSet
from compression_runner.dataset.steps import single_steps, stepwise
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.answers import answers
from compression_runner.evaluation.answers.batch_axes import locate
from compression_runner.inference.gpu import GpuPredictor
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.inference.stepping import Stepping, check_state
from tests.support.graphs import lstm_sequence, lstm_step, random
from tests.support.providers import use_provider
from tests.support.stage_data import array_samples

CARRIED = {"h": "hn", "c": "cn"}
STEPS = 6


def sequences(count: int = 5, state: Mapping[str, str] = CARRIED, **arrays: np.ndarray) -> SampleSet:
    data = array_samples(**{"x": random(count, STEPS, 3), **arrays})
    return SampleSet(data.samples, data.digest, state=state)


@pytest.fixture
def step(tmp_path: Path) -> Iterator[OnnxPredictor]:
    onnx.save(lstm_step(), tmp_path / "step.onnx")
    with OnnxPredictor(tmp_path / "step.onnx", 1) as predictor:
        yield predictor


@pytest.mark.parametrize("batch", [1, 4])
def test_steps_with_carried_state_answer_as_the_operator_over_the_whole_sequence(
    batch: int, step: OnnxPredictor, tmp_path: Path
) -> None:
    data = sequences()
    onnx.save(lstm_sequence(), tmp_path / "whole.onnx")
    with OnnxPredictor(tmp_path / "whole.onnx", 1) as whole:
        # (steps, 1, samples, hidden) as the operator gives them
        expected = whole.run({"x": np.stack([sample["x"] for sample in data.samples], axis=1)})[0]
    predictor = stepwise(step, data)
    locate(predictor, data, "onnx", batch).apply(predictor)
    rows = answers(predictor, data, "onnx", batch)
    assert [info.name for info in predictor.outputs] == ["y"]
    assert np.allclose(rows.reshape(5, STEPS, -1), expected[:, 0].transpose(1, 0, 2), atol=1e-5)


def test_a_first_state_from_the_data_takes_the_place_of_zeros(step: OnnxPredictor) -> None:
    with_zeros = answers(stepwise(step, sequences()), sequences(), "onnx", 1)
    data = sequences(h=random(5, 1, 4, seed=3), c=np.zeros((5, 1, 4), np.float32))
    predictor = stepwise(step, data)
    locate(predictor, data, "onnx", 1).apply(predictor)
    assert not np.allclose(answers(predictor, data, "onnx", 1), with_zeros)


def test_stages_see_single_steps_with_the_state_before_each(step: OnnxPredictor) -> None:
    data = sequences(count=3)
    predictor = stepwise(step, data)
    assert isinstance(predictor, Stepping)
    steps = single_steps(predictor, data)
    assert len(steps) == 3 * STEPS
    assert not steps.state
    first, second = steps.samples[0], steps.samples[1]
    assert np.array_equal(first["x"], data.samples[0]["x"][0])
    assert not first["h"].any()
    feed = {name: np.expand_dims(first[name], axis) for name, axis in (("x", 0), ("h", 1), ("c", 1))}
    assert np.array_equal(second["h"], step.run(feed, ["hn"])[0][:, 0])


def test_steps_are_spaced_over_all_sequences_where_there_are_too_many(step: OnnxPredictor) -> None:
    data = sequences(count=4)
    predictor = stepwise(step, data)
    assert isinstance(predictor, Stepping)
    steps = single_steps(predictor, data, most=8)
    assert len(steps) == 8
    assert np.array_equal(steps.samples[-1]["x"], data.samples[3]["x"][3])


@pytest.mark.parametrize(
    ("state", "value", "words"),
    [
        ({"hidden": "hn"}, "hidden", "name one of its inputs: x, h, c"),
        ({"h": "next"}, "next", "name one of its outputs: y, hn, cn"),
        ({"x": "hn", "h": "cn", "c": "y"}, "x, h, c", "name the inputs that take a state only"),
    ],
)
def test_a_state_that_the_model_does_not_have_is_refused(
    state: dict[str, str], value: str, words: str, step: OnnxPredictor
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_state(state, step.inputs, step.outputs)
    assert (refusal.value.value, refusal.value.remedy) == (value, words)


def test_an_output_of_another_shape_is_no_next_state(step: OnnxPredictor) -> None:
    data = sequences(state={"h": "y", "c": "cn"}, h=np.zeros((5, 1, 4), np.float32))
    predictor = stepwise(step, data)
    with pytest.raises(InvalidInput) as refusal:
        answers(predictor, data, "onnx", 1)
    assert refusal.value.value == "h"
    assert "output y is float32" in refusal.value.problem


def test_a_sample_that_is_no_sequence_is_refused_with_the_shape_to_give(step: OnnxPredictor) -> None:
    data = sequences(x=random(5, 3))
    with pytest.raises(InvalidInput) as refusal:
        stepwise(step, data)
    assert refusal.value.value == "x"
    assert "(samples, steps, 3)" in refusal.value.remedy


def test_the_placement_of_a_model_with_a_state_is_that_of_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_provider(monkeypatch, "AzureExecutionProvider")
    onnx.save(lstm_step(), tmp_path / "step.onnx")
    data = sequences()
    with stepwise(GpuPredictor(tmp_path / "step.onnx", 1, "onnxruntime-cuda"), data) as predictor:
        locate(predictor, data, "onnx", 1).apply(predictor)
        placement = predictor.placement(predictor.one_run(data.batch([0], predictor.inputs)))
    assert placement is not None
    assert placement.computed["LSTM"] == 1
