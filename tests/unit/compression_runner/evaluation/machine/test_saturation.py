"""8-bit products that saturate on the measuring CPU are noted."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compression_runner.artifact import Artifact
from compression_runner.evaluation.machine.saturation import NOTE, saturation_note
from compression_runner.inference import integer_products
from tests.support.graphs import graph, random
from tests.support.stage_data import array_samples
from tests.support.stages import quantize_static, sealed_graph

WIDTH = 32
DATA = array_samples(x=random(50, WIDTH, seed=5))


@pytest.fixture
def source(tmp_path: Path) -> Artifact:
    model = graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["batch", WIDTH]}, ["y"], {"w": random(WIDTH, WIDTH)}
    )
    return sealed_graph(model, tmp_path / "source")


def test_the_probe_computes_products_that_overflow_16_bits() -> None:
    """Two products of the largest numbers, 2 * 255 * 127, are beyond int16, where such a CPU adds them."""
    assert np.iinfo(np.int16).max < 2 * 255 * 127
    if "avx512_vnni" in Path("/proc/cpuinfo").read_text() or "avx_vnni" in Path("/proc/cpuinfo").read_text():
        assert not integer_products.saturates()


def test_a_model_with_8_bit_products_is_noted_where_they_saturate(
    source: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = quantize_static(source, DATA, tmp_path / "int8")
    models = (source.model_file, result.artifact.model_file)
    for saturates, note in ((True, NOTE), (False, "")):
        monkeypatch.setattr(integer_products, "saturates", lambda saturates=saturates: saturates)
        assert saturation_note(models, "onnxruntime") == note
    monkeypatch.setattr(integer_products, "saturates", lambda: True)
    assert saturation_note(models, "openvino") == ""
    assert saturation_note(models[:1], "onnxruntime") == ""


def test_products_of_unsigned_weights_are_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_products, "saturates", lambda: True)
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], ["y"])]
    for kind, note in ((np.uint8, ""), (np.int8, NOTE)):
        model = graph(nodes, {"x": ["batch", 4]}, ["y"], {"w": np.ones((4, 2), kind)}, {"x": TensorProto.UINT8})
        onnx.save(model, tmp_path / "m.onnx")
        assert saturation_note((tmp_path / "m.onnx",), "onnxruntime") == note
