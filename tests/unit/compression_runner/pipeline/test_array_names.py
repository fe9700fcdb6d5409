"""Inputs of a graph without an array in the data are named before any download."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compression_runner.errors import InvalidInput
from compression_runner.inference.predictor import TensorInfo
from compression_runner.pipeline.array_names import state_output
from compression_runner.pipeline.preflight import preflight
from compression_runner.pipeline.run_locations import of_trial
from compression_runner.storage import Stores
from compressionjob.spec import CompressionJobSpec

ROWS = np.ones((5, 3), np.float32)
STATES = np.ones((5, 2, 4), np.float32)


def recurrent(place: Path) -> Path:
    """Write a header of x, h and c to y, hn and c_out; what it computes does not matter to it."""
    shapes: dict[str, list[Any]] = {"x": ["batch", 3], "h": [2, "batch", 4], "c": [2, "batch", 4]}
    outputs = {"y": "x", "hn": "h", "c_out": "c"}
    infos = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[like]) for name, like in side.items()]
        for side in ({name: name for name in shapes}, outputs)
    ]
    nodes = [helper.make_node("Identity", [source], [name]) for name, source in outputs.items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", *infos), ir_version=9), place)
    return place


def plan(place: Path, state: Mapping[str, str] | None = None, **arrays: Any) -> None:
    """Look at a job whose evaluation and calibration data hold these arrays, with inputs that take a state."""
    data: dict[str, Any] = {}
    for role in ("evaluation", "calibration"):
        np.savez(place / f"{role}.npz", **arrays)
        data[role] = {"source": f"file://{place / f'{role}.npz'}"}
    spec = CompressionJobSpec.model_validate(
        {
            "model": {
                "source": f"file://{recurrent(place / 'model.onnx')}",
                "task": "onnx",
                "state": [{"input": name, "output": output} for name, output in (state or {}).items()],
            },
            "data": data,
            "pipeline": [{"pack": {}}],
            "output": {"destination": f"file://{place / 'out'}"},
        }
    )
    preflight(spec, of_trial(spec, Stores(), place / "work"))


@pytest.mark.parametrize(
    ("arrays", "tensor", "says"),
    [
        (
            {"x": ROWS},
            "h",
            "no array h, the state that the model gives as hn; give sequences of steps, with spec.model.state: .{input",
        ),
        ({"x": ROWS, "h": STATES}, "c", "no array c, the state that the model gives as c_out; give sequences"),
        ({"rows": ROWS, "h": STATES, "c": STATES}, "x", r"no array of this name, which the model takes \(rows, h, c\)"),
    ],
)
def test_a_missing_array_is_named(arrays: dict[str, Any], tensor: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        plan(tmp_path, **arrays)
    assert (caught.value.field, caught.value.value) == ("spec.data.evaluation.source", tensor)
    assert len(str(caught.value)) <= 220


def test_arrays_with_states_are_accepted(tmp_path: Path) -> None:
    plan(tmp_path, x=ROWS, h=STATES, c=STATES, sampling_rate=np.array(16000))


def test_a_state_that_the_job_names_needs_no_array(tmp_path: Path) -> None:
    plan(tmp_path, {"h": "hn", "c": "c_out"}, x=np.ones((5, 7, 3), np.float32))


def test_a_state_that_the_graph_does_not_give_is_refused_by_plan(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name one of its outputs: y, hn, c_out") as caught:
        plan(tmp_path, {"h": "hn", "c": "cn"}, x=np.ones((5, 7, 3), np.float32))
    assert (caught.value.field, caught.value.value) == ("spec.model.state[1].output", "cn")


def test_a_list_of_arrays_is_read_from_the_end_of_a_large_file(tmp_path: Path) -> None:
    plan(
        tmp_path,
        x=np.ones((20_000, 3), np.float32),
        h=np.ones((20_000, 2, 4), np.float32),
        c=STATES[:1].repeat(20_000, 0),
    )


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("h", "hn"), ("h0", "hn"), ("state", "stateN"), ("state_in", "state_out"), ("past_key", "present_key"),
        ("prev_hidden", "next_hidden"), ("memory", "new_memory"),
    ],
)  # fmt: skip
def test_states_are_recognized_by_usual_names(name: str, output: str) -> None:
    given = TensorInfo(name, np.dtype(np.float32), (1, None, 4))
    tensors = [TensorInfo(each, np.dtype(np.float32), (1, None, 4)) for each in ("y", output)]
    assert state_output(given, tensors) == output
    assert state_output(given, [TensorInfo(output, np.dtype(np.int64), (1, None, 4))]) is None
    assert state_output(TensorInfo("input", np.dtype(np.float32), (1, None, 4)), tensors) is None
