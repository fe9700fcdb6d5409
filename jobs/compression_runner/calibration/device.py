"""The linear algebra of calibration on the GPU of the pod, if it has one.

Calibration keeps its matrices in the memory of the host. An `offloaded` function gets those of one layer as tensors on
the GPU, and its results return to the host: the GPU holds one layer at a time, so the model may be larger than it. The
same code runs on a CPU with NumPy, because it uses only what both libraries have by the array API standard
(https://data-apis.org/array-api). What the standard lacks is here.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pynvml
from array_api_compat import array_namespace
from numpy.typing import NDArray

from compression_runner.gpu.watch import GpuWatch, watching

LOG = logging.getLogger(__name__)

Array = Any
"""An array of NumPy or a tensor of torch."""
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@cache
def gpu() -> Any:
    """Return torch's device for the GPU of the pod; None without one, or without a torch that can use it."""
    # torch takes seconds and hundreds of megabytes to import: ask the driver first.
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    pynvml.nvmlShutdown()
    import torch

    return torch.device("cuda") if torch.cuda.is_available() else None


def offloaded(compute: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Run a function on the GPU: its arrays become tensors there, those that it returns become arrays of the host.

    It returns an array, a number, or a tuple of these. It runs on the CPU if there is no GPU, if its memory is too
    small, or if the arguments are tensors already. So it must not change its arguments.
    """

    @wraps(compute)
    def run(*arguments: Arguments.args, **settings: Arguments.kwargs) -> Result:
        device = gpu()
        if device is None or not any(isinstance(value, np.ndarray) for value in arguments):
            return compute(*arguments, **settings)
        import torch

        try:
            result: Result = _to_host(compute(*(to_device(value) for value in arguments), **settings))
        except torch.OutOfMemoryError:
            LOG.warning("the memory of the GPU is too small for a layer; it is computed on the CPU")
        else:
            return result
        torch.cuda.empty_cache()
        return compute(*arguments, **settings)

    return run


def to_device(value: Any) -> Any:
    """Return an array as a tensor on the GPU, if there is one; anything else as it is."""
    device = gpu()
    if device is None or not isinstance(value, np.ndarray):
        return value
    import torch

    return torch.tensor(value, device=device)


def to_host(array: Array) -> NDArray[Any]:
    """Return an array or a tensor as an array of the host."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.cpu())


def _to_host(result: Any) -> Any:
    if isinstance(result, tuple):
        return tuple(map(_to_host, result))
    return result if isinstance(result, (int, float, np.generic)) else to_host(result)


def on_host(function: Callable[[NDArray[Any]], NDArray[Any]], array: Array) -> Array:
    """Apply a function of arrays of the host to an array wherever it is, and return the result there."""
    if isinstance(array, np.ndarray):
        return function(array)
    return array.new_tensor(function(to_host(array)))


def inner_product(one: Array, other: Array) -> float:
    """Return the sum of the products of two arrays of one shape, in float64."""
    if isinstance(one, np.ndarray):
        # Without copies of both arrays in float64.
        return float(np.einsum("oi,oi->", one, other, dtype=np.float64))
    return float((one.double() * other.double()).sum())


def lowest_of_rows(rows: Array, count: int) -> Array:
    """Return True for the `count` lowest values of each row; of equal values, for the first."""
    xp = array_namespace(rows)
    lowest = xp.argsort(rows, axis=1, stable=True)[:, :count]
    mask = xp.zeros_like(rows, dtype=xp.bool)
    if isinstance(rows, np.ndarray):
        np.put_along_axis(mask, lowest, True, axis=1)
    else:
        mask.scatter_(1, lowest, value=True)
    return mask


@contextmanager
def gpu_watched() -> Iterator[GpuWatch]:
    """Watch the GPU during calibration; the watch reports nothing without a GPU."""
    device = gpu()
    if device is None:
        yield GpuWatch(None)
        return
    import torch

    with watching(_uuid(device), lambda: torch.cuda.memory_reserved(device)) as watch:
        yield watch


def _uuid(device: Any) -> str:
    import torch

    return str(torch.cuda.get_device_properties(device).uuid)
