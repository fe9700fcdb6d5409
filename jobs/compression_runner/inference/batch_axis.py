"""Locate the batch axis of each tensor, and join and split feeds along it.

Names of dimensions decide first, then sizes, then the convention that the batch comes first.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.inference.predictor import Feed, TensorInfo

BATCH_NAME: Final = re.compile(r"n|b|bs|bsz|.*batch.*|num_?samples", re.IGNORECASE)
SPELLED_OUT: Final = re.compile(r".*batch.*", re.IGNORECASE)
TIME_NAME: Final = re.compile(r".*(seq|time|frame|length|step|token|past|height|width).*|t|l|len|h|w", re.IGNORECASE)


def locate_batch(
    inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo] = ()
) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """Set the batch axes of inputs and outputs, by the names and sizes of their dimensions.

    An input without a batch axis applies to all samples. An output whose shape shows none keeps the first dimension,
    which must be checked by running the model.
    """
    symbols, size = batch_symbols(inputs), None
    if not symbols and not any(_free(info) for info in inputs):
        size = _fixed_size(inputs)
    located = [replace(info, axis=_axis(info, symbols, size)) for info in inputs]
    answers = [replace(info, axis=_axis(info, symbols, size) or 0 if info.shape else None) for info in outputs]
    return tuple(located), tuple(answers)


def batch_symbols(inputs: Sequence[TensorInfo]) -> frozenset[str]:
    """Return the names of the batch dimension in the inputs; empty if it has no name.

    A letter such as N counts something else if an input has it beside a name that contains "batch".
    """
    named = {symbol for info in inputs for symbol in info.symbols if BATCH_NAME.fullmatch(symbol)}
    for info in inputs:
        beside = named.intersection(info.symbols)
        spelled = {symbol for symbol in beside if SPELLED_OUT.fullmatch(symbol)}
        named -= beside - spelled if spelled else set()
    first = {info.symbols[0] for info in inputs if info.symbols and info.symbols[0]}
    return frozenset(named or {symbol for symbol in first if not TIME_NAME.fullmatch(symbol)})


def fixed_batch(inputs: Sequence[TensorInfo]) -> int | None:
    """Return the batch size that a model fixes; None if it is free."""
    return next((info.batch for info in inputs if info.batch is not None), None)


def fixed_at_one(info: TensorInfo) -> TensorInfo:
    """Set the batch size of a tensor to 1; a tensor without a batch axis stays unchanged."""
    if info.axis is None:
        return info
    return replace(info, shape=(*info.shape[: info.axis], 1, *info.shape[info.axis + 1 :]))


def joined(feeds: Sequence[Feed], inputs: Sequence[TensorInfo]) -> dict[str, NDArray[np.generic]]:
    """Return the samples of all feeds as one feed."""
    axes = {info.name: info.axis for info in inputs}
    return {
        name: array if axes[name] is None else np.concatenate([feed[name] for feed in feeds], axes[name])
        for name, array in feeds[0].items()
    }


def part_of(feed: Feed, inputs: Sequence[TensorInfo], start: int, stop: int) -> dict[str, NDArray[np.generic]]:
    """Return the samples of a feed from `start` to before `stop`."""
    axes = {info.name: info.axis for info in inputs}
    return {
        name: array if (axis := axes[name]) is None else array[(slice(None),) * axis + (slice(start, stop),)]
        for name, array in feed.items()
    }


def _free(info: TensorInfo) -> bool:
    """Return whether a free dimension may be the batch: it has no name, or one that is not a time axis's."""
    if not info.shape or info.shape[0] is not None:
        return False
    names = _symbols(info)
    return not TIME_NAME.fullmatch(names[0]) or any(
        size is None and not name for size, name in zip(info.shape, names, strict=True)
    )


def _axis(info: TensorInfo, symbols: frozenset[str], size: int | None) -> int | None:
    """Return the batch axis of one tensor; `size` is the batch size of a model that fixes it."""
    by_name = [place for place, symbol in enumerate(info.symbols) if symbol in symbols]
    if by_name:
        return by_name[0]
    if size is not None:
        return _of_size(info, size)
    free = [place for place, length in enumerate(info.shape) if length is None]
    if 0 in free and not TIME_NAME.fullmatch(_symbols(info)[0]):
        return 0
    unnamed = [place for place in free if not _symbols(info)[place]]
    return unnamed[0] if unnamed else None


def _of_size(info: TensorInfo, size: int) -> int | None:
    """Return the first dimension of size `size`, without the last of several, which belongs to the sample."""
    places = range(max(1, len(info.shape) - 1)) if info.shape else ()
    return next((place for place in places if info.shape[place] == size), None)


def _fixed_size(inputs: Sequence[TensorInfo]) -> int | None:
    """Return the batch size of a model with fixed dimensions: the first dimension that most inputs share."""
    sizes = [info.shape[0] for info in inputs if info.shape and info.shape[0] is not None]
    sizes += [1] if any(1 in info.shape for info in inputs) else []
    shared = {size: sum(_of_size(info, size) is not None for info in inputs) for size in sizes}
    return max(sizes, key=lambda size: shared[size], default=None)


def _symbols(info: TensorInfo) -> tuple[str, ...]:
    return info.symbols or ("",) * len(info.shape)
