"""The exactness of onnxruntime's 8-bit products on this CPU."""

import functools

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

DEPTH, OUTPUTS, ROWS = 64, 32, 4


@functools.cache
def saturates() -> bool:
    """Return whether products of uint8 and int8 saturate at 16 bits, as on x86 without VNNI.

    Tried with the largest numbers. Source: "When and why do I need to try U8U8?" in
    https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    """
    tensor = helper.make_tensor_value_info
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], ["y"])]
    inputs = [tensor("x", TensorProto.UINT8, [ROWS, DEPTH]), tensor("w", TensorProto.INT8, [DEPTH, OUTPUTS])]
    graph = helper.make_graph(nodes, "product", inputs, [tensor("y", TensorProto.INT32, [ROWS, OUTPUTS])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x, w = np.full((ROWS, DEPTH), 255, np.uint8), np.full((DEPTH, OUTPUTS), 127, np.int8)
    return not np.array_equal(session.run(None, {"x": x, "w": w})[0], x.astype(np.int32) @ w.astype(np.int32))
