"""Graphs in a runtime that is not the one that this project measures in.

Nothing here imports this project's code: the source is run in processes of its own, too.
"""

from pathlib import Path
from typing import Any

import numpy as np
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun


def elsewhere(model: Path, feed: dict[str, Any]) -> tuple[Any, str]:
    """Return the first output in another runtime, and its name: onnx's reference, or OpenVINO where that lacks an
    operator.

    OpenVINO takes no look-up in a table that a product shares. Then it is onnx's reference with onnxruntime's operators
    by their documentation.
    """
    try:
        return ReferenceEvaluator(str(model)).run(None, feed)[0], "onnx"
    except RuntimeError as error:  # NotImplementedError is one, too
        if not isinstance(error, NotImplementedError) and "No implementation for operator" not in str(error):
            raise
    import openvino

    try:
        return openvino.Core().compile_model(model, "CPU")(feed)[0], "openvino"
    except RuntimeError as error:
        if "GatherBlockQuantized: 'data' must be a constant" not in str(error):
            raise
    operators = [MatMulNBits, GatherBlockQuantized]
    return ReferenceEvaluator(str(model), new_ops=operators).run(None, feed)[0], "onnx with documented operators"


class MatMulNBits(OpRun):  # type: ignore[misc]
    """A product with a matrix of few bits: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md."""

    op_domain = "com.microsoft"

    def _run(self, a: Any, b: Any, scales: Any, zeros: Any = None, **given: Any) -> tuple[Any]:
        rows, width = given["N"], given["K"]
        weights = _dequantized(b.reshape(rows, -1), scales.reshape(rows, -1), zeros, given["bits"], given["block_size"])
        return (a @ weights[:, :width].T.astype(a.dtype),)


class GatherBlockQuantized(OpRun):  # type: ignore[misc]
    """Rows of a table of few bits."""

    op_domain = "com.microsoft"

    def _run(self, data: Any, indices: Any, scales: Any, zeros: Any = None, **given: Any) -> tuple[Any]:
        table = _dequantized(data, scales, zeros, given["bits"], given["block_size"])
        return (table[indices].astype(scales.dtype),)


def _dequantized(codes: Any, scales: Any, zeros: Any, bits: int, group: int) -> Any:
    """Return numbers, shape (rows, values), of codes (rows, bytes) and scales (rows, groups)."""
    values = _unpacked(codes, bits)
    groups = scales.shape[1]
    offsets = (
        np.full(scales.shape, 2 ** (bits - 1)) if zeros is None else _unpacked(zeros.reshape(len(codes), -1), bits)
    )
    spread = [np.repeat(each[:, :groups], group, axis=1)[:, : values.shape[1]] for each in (offsets, scales)]
    return (values[:, : spread[0].shape[1]].astype(np.float32) - spread[0]) * spread[1]


def _unpacked(codes: Any, bits: int) -> Any:
    """Return the codes of bytes, the lowest bits first."""
    shifts = np.arange(0, 8, bits)
    return ((codes[..., np.newaxis] >> shifts) & (2**bits - 1)).reshape(len(codes), -1)
