"""Rows of a gated layer absorb AWQ's scale, in the type in which their scales are stored."""

import numpy as np
import onnx
import torch
from compressed_tensors.compressors.pack_quantized.helpers import (  # type: ignore[import-untyped]
    unpack_from_int32,
)
from onnx import helper, numpy_helper

from compression_runner.calibration.layers import find_layers, group_layers
from compression_runner.formats.compressed_checkpoint import PackedLinear, pack_codes
from compression_runner.methods.quantize.vllm.absorption import Absorption

SIZE, GROUP, BITS = 64, 32, 4


def gated() -> onnx.ModelProto:
    """Return the graph of a gated feed-forward block."""
    nodes = [
        helper.make_node("MatMul", ["x", "gate"], ["g"]),
        helper.make_node("Sigmoid", ["g"], ["s"]),
        helper.make_node("MatMul", ["x", "up"], ["u"]),
        helper.make_node("Mul", ["s", "u"], ["product"]),
        helper.make_node("MatMul", ["product", "down"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", SIZE]) for name in "xy"]
    random = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(random.normal(size=(SIZE, SIZE)).astype(np.float32), name)
        for name in ("gate", "up", "down")
    ]
    return helper.make_model(helper.make_graph(nodes, "gated", values[:1], values[1:], weights))


def test_a_group_whose_scale_underflows_becomes_zero() -> None:
    model, random = gated(), np.random.default_rng(1)
    layers = find_layers(model)
    codes = random.integers(0, 1 << BITS, (SIZE, SIZE)).astype(np.uint8)
    scales = np.full((SIZE, SIZE // GROUP), 0.25, np.float32)
    scales[3, 1] = 1e-7
    packed = {"up": PackedLinear(pack_codes(codes, BITS), scales, (SIZE, SIZE))}
    (down,) = (group for group in group_layers(layers) if group.source == "product")
    scaled = [(down, np.full(SIZE, 8, np.float32))]
    absorption = Absorption(model, layers, {"gate", "up", "down"})
    assert not absorption.apply(scaled, packed, lambda exact: exact.astype(np.float16).astype(np.float32))
    tensors = packed["up"].tensors("up", torch.float16)
    assert tensors["up.weight_scale"].all(), "a scale of 0 for codes that are not is a damaged checkpoint"
    unpacked = unpack_from_int32(tensors["up.weight_packed"], BITS, torch.Size((SIZE, SIZE)))
    weights = unpacked.float().numpy() * tensors["up.weight_scale"].float().numpy().repeat(GROUP, 1)
    expected = (codes.astype(np.float32) - 8) * np.float32(0.25 / 8)
    expected[3, GROUP:] = 0
    np.testing.assert_array_equal(weights, expected)
