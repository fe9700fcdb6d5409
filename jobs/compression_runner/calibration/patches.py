"""The input patches of a convolution, one row each."""

from collections.abc import Iterator, Sequence
from typing import Final, cast

import numpy as np
import onnx
from numpy.typing import NDArray

from compression_runner.calibration.layers import attribute
from compression_runner.calibration.statistics import Rows

VALUES_AT_ONCE: Final = 1 << 24


def patch_rows(values: NDArray[np.generic], node: onnx.NodeProto, kernel: Sequence[int]) -> Iterator[Rows]:
    """Yield rows of shape (patches, channels * kernel) of an input of shape (batch, channels, *space), in chunks.

    `kernel` is the kernel size in each spatial dimension; pads, strides and dilations are the node's.
    """
    axes = range(2, 2 + len(kernel))
    strides = _numbers(node, "strides", [1] * len(kernel))
    dilations = _numbers(node, "dilations", [1] * len(kernel))
    pads = _pads(node, values.shape[2:], kernel, strides, dilations)
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    padded = np.pad(np.asarray(values, np.float32), [(0, 0), (0, 0), *pads])
    views = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=tuple(axes))
    steps = tuple(slice(None, None, step) for step in strides)
    within = tuple(slice(None, None, step) for step in dilations)
    views = views[(slice(None), slice(None), *steps, *within)]
    # (batch, channels, *places, *kernel) -> (batch, *places, channels, *kernel)
    views = np.moveaxis(views, 1, 1 + len(kernel))
    step = max(1, VALUES_AT_ONCE // max(1, int(np.prod(views.shape[1:]))))
    for start in range(0, len(views), step):
        part = views[start : start + step]
        yield part.reshape(-1, values.shape[1] * int(np.prod(kernel)))


def _numbers(node: onnx.NodeProto, name: str, default: list[int]) -> list[int]:
    return [int(number) for number in cast("Sequence[int]", attribute(node, name, default))]


def _pads(
    node: onnx.NodeProto, space: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[int, int]]:
    """Return the padding before and after each spatial dimension (ONNX operator Conv)."""
    mode = attribute(node, "auto_pad", b"NOTSET")
    if mode in (b"NOTSET", b""):
        pads = _numbers(node, "pads", [0] * 2 * len(kernel))
        return list(zip(pads[: len(kernel)], pads[len(kernel) :], strict=True))
    if mode == b"VALID":
        return [(0, 0)] * len(kernel)
    padding: list[tuple[int, int]] = []
    for size, width, stride, dilation in zip(space, kernel, strides, dilations, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size)
        less, more = total // 2, total - total // 2
        padding.append((less, more) if mode == b"SAME_UPPER" else (more, less))
    return padding
