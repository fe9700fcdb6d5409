"""Graphs in another runtime than the one that this project measures with.

This module imports no code of this project, since its source also runs in separate processes.
"""

from pathlib import Path
from typing import Any

import numpy as np
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun


def elsewhere(model: Path, feed: dict[str, Any]) -> tuple[Any, str]:
    """Return the first output in another runtime, and the name of the runtime.

    It is onnx's reference, or OpenVINO for operators that the reference lacks. OpenVINO does not support a Gather in a
    table that a MatMul shares. Then it is onnx's reference with onnxruntime's operators, from their documentation.
    """
    try:
        return _reference(model, feed), "onnx"
    except RuntimeError as error:  # NotImplementedError is a RuntimeError
        if not isinstance(error, NotImplementedError) and "No implementation for operator" not in str(error):
            raise
    import openvino

    try:
        return openvino.Core().compile_model(model, "CPU")(feed)[0], "openvino"
    except RuntimeError as error:
        if "GatherBlockQuantized: 'data' must be a constant" not in str(error):
            raise
    return _reference(model, feed, [MatMulNBits, GatherBlockQuantized]), "onnx with documented operators"


def _reference(model: Path, feed: dict[str, Any], operators: list[type[OpRun]] | None = None) -> Any:
    outputs: Any = ReferenceEvaluator(str(model), new_ops=operators).run(None, feed)
    return outputs[0]


class MatMulNBits(OpRun):
    """Product with a matrix of few bits: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md."""

    op_domain = "com.microsoft"

    def _run(self, a: Any, b: Any, scales: Any, zeros: Any = None, **given: Any) -> tuple[Any]:
        rows, width = given["N"], given["K"]
        weights = _dequantized(b.reshape(rows, -1), scales.reshape(rows, -1), zeros, given["bits"], given["block_size"])
        return (a @ weights[:, :width].T.astype(a.dtype),)


class GatherBlockQuantized(OpRun):
    """Look-up of rows in a table of few bits."""

    op_domain = "com.microsoft"

    def _run(self, data: Any, indices: Any, scales: Any, zeros: Any = None, **given: Any) -> tuple[Any]:
        table = _dequantized(data, scales, zeros, given["bits"], given["block_size"])
        return (table[indices].astype(scales.dtype),)


def _dequantized(codes: Any, scales: Any, zeros: Any, bits: int, group: int) -> Any:
    """Return the values (rows, values) of codes (rows, bytes) and scales (rows, groups)."""
    values = _unpacked(codes, bits)
    groups = scales.shape[1]
    offsets = (
        np.full(scales.shape, 2 ** (bits - 1)) if zeros is None else _unpacked(zeros.reshape(len(codes), -1), bits)
    )
    spread = [np.repeat(each[:, :groups], group, axis=1)[:, : values.shape[1]] for each in (offsets, scales)]
    return (values[:, : spread[0].shape[1]].astype(np.float32) - spread[0]) * spread[1]


def _unpacked(codes: Any, bits: int) -> Any:
    """Return the codes in bytes, lowest bits first."""
    shifts = np.arange(0, 8, bits)
    return ((codes[..., np.newaxis] >> shifts) & (2**bits - 1)).reshape(len(codes), -1)
