"""Models in OpenVINO: the same answers as in onnxruntime, and a comparison within one engine."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino
import pytest

from compression_runner.dataset import SampleSet
from compression_runner.evaluation.evaluate import measure
from compression_runner.evaluation.machine.memory import MemoryProbes
from compression_runner.evaluation.measurements import MeasuredModel
from compression_runner.formats.graph_files import files_of_graph
from compression_runner.formats.openvino_files import read, save
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.inference.opening import engine_of, open_predictor
from compression_runner.inference.openvino import OpenVinoPredictor
from compression_runner.inference.openvino_settings import cpu_settings
from compression_runner.inference.predictor import TensorInfo
from compressionjob.spec import CompressionJobSpec
from tests.support.short_measurements import measure_shortly

WIDTH, CLASSES = 16, 4


@pytest.fixture
def graph(linear_model: Callable[..., Path]) -> Path:
    """An ONNX file of one matrix."""
    return linear_model("model", np.random.default_rng(0).normal(size=(WIDTH, CLASSES)).astype(np.float32))


@pytest.fixture
def converted(graph: Path, tmp_path: Path) -> Path:
    """The same as an OpenVINO IR."""
    (tmp_path / "ir").mkdir()
    return save(read(graph), tmp_path / "ir")


def test_an_ir_and_an_onnx_file_have_onnxruntimes_answers(graph: Path, converted: Path) -> None:
    feed = {"x": np.random.default_rng(1).normal(size=(3, WIDTH)).astype(np.float32)}
    with OnnxPredictor(graph, 1) as onnx, OpenVinoPredictor(graph, 1) as same, OpenVinoPredictor(converted, 1) as ir:
        expected = onnx.run(feed)[0]
        # bfloat16, which OpenVINO takes by itself where the CPU has it, would be off by some 1e-2.
        np.testing.assert_allclose(same.run(feed)[0], expected, atol=1e-5)
        np.testing.assert_allclose(ir.run(feed, ["logits"])[0], expected, atol=1e-5)
        assert ir.inputs == onnx.inputs == (TensorInfo("x", np.dtype(np.float32), (None, WIDTH)),)
        assert ir.outputs == onnx.outputs


def test_answers_do_not_change_with_the_next_query(converted: Path) -> None:
    random = np.random.default_rng(1)
    with open_predictor(converted, 1, "openvino") as predictor:
        first = predictor.run({"x": random.normal(size=(2, WIDTH)).astype(np.float32)})[0]
        kept = first.copy()
        predictor.run({"x": random.normal(size=(2, WIDTH)).astype(np.float32)})
        np.testing.assert_array_equal(first, kept)
    with pytest.raises(ValueError, match="closed"):
        predictor.run({"x": np.zeros((1, WIDTH), np.float32)})


def test_openvino_pins_no_thread_itself(converted: Path) -> None:
    """It would choose among the CPUs that it knew at its first use, even if the process is pinned to others now."""
    compiled = openvino.Core().compile_model(str(converted), "CPU", cpu_settings(1))
    assert compiled.get_property("ENABLE_CPU_PINNING") is False


def test_the_same_model_is_written_as_the_same_bytes(graph: Path, tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written.append([path.read_bytes() for path in files_of_graph(save(read(graph), tmp_path / name))])
    assert written[0] == written[1]
    assert len(written[0]) == 2


def test_memory_of_an_ir_is_measured_with_openvino(converted: Path) -> None:
    figures = MemoryProbes(converted, {"x": np.ones((1, WIDTH), np.float32)}, 1, 0.95, "openvino").measure(1)
    assert 0 < figures.floor_bytes < figures.value


def test_a_result_for_openvino_is_compared_with_its_baseline_in_openvino(
    graph: Path, converted: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measure_shortly(monkeypatch)
    rows = np.random.default_rng(2).normal(size=(40, WIDTH)).astype(np.float32)
    data = SampleSet(samples=[{"x": row} for row in rows], digest="sha256:0")
    spec = CompressionJobSpec.model_validate(
        {
            "model": {"source": "file:///models/m", "task": "onnx"},
            "data": {"evaluation": {"source": "file:///data/d.npz"}},
            "pipeline": [{"pack": {}}],
            "output": {"destination": "file:///models/out", "format": "openvino"},
        }
    )
    assert engine_of(converted) == "openvino"
    measurements = measure(
        spec, MeasuredModel(graph, 1000), MeasuredModel(converted, 1000), data, answers_cache=tmp_path / "answers"
    )
    assert measurements.environment.measured_in.startswith("openvino 20")
    assert measurements.environment.max_abs_difference is not None
    assert measurements.environment.max_abs_difference < 1e-5
    within_onnx = measure(
        spec, MeasuredModel(graph, 1000), MeasuredModel(graph, 1000), data, answers_cache=tmp_path / "answers"
    )
    assert within_onnx.environment.measured_in.startswith("onnxruntime ")
    assert len(list((tmp_path / "answers").iterdir())) == 2, "answers of one engine are not taken for another's"
