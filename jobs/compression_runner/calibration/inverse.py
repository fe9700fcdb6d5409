"""The inverse Hessian of a layer, as GPTQ and SparseGPT use it."""

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray
from scipy.linalg import cholesky, lapack

from compression_runner.calibration.device import Array, offloaded
from compression_runner.errors import Problem


class NotInvertible(Problem):
    """The Hessian of a layer is singular or not finite on the calibration data."""

    def __init__(self) -> None:
        super().__init__("the inputs of a layer on the calibration data are not finite, or too similar")


@offloaded
def inverse_factor(hessian: NDArray[np.float64], damping: float) -> NDArray[np.float32]:
    """Return the upper Cholesky factor U of the inverse of a damped Hessian, H^-1 = U^T U, shape (inputs, inputs).

    Row i of U holds how the inputs after i compensate for a fixed input i, as in GPTQ (Frantar et al. 2022,
    arXiv:2210.17323). `damping`, a fraction of the mean of the diagonal, is added to the diagonal. Inputs that are
    never active do not affect others. Raises NotInvertible.
    """
    xp = array_namespace(hessian)
    damped = xp.asarray(hessian, copy=True)
    every = xp.arange(len(damped))
    diagonal = xp.linalg.diagonal(hessian)
    mean = float(xp.mean(diagonal)) or 1.0
    damped[every, every] = xp.where(diagonal > 0, diagonal + damping * mean, mean)
    factor = _by_scipy(damped) if isinstance(damped, np.ndarray) else _by_torch(damped)
    return xp.astype(factor, xp.float32)  # type: ignore[no-any-return]


def _by_scipy(damped: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        inverse, failed = lapack.dpotri(cholesky(damped, lower=True), lower=1)
        if failed:
            raise NotInvertible
        return np.asarray(cholesky(np.tril(inverse) + np.tril(inverse, -1).T, lower=False))
    except ValueError as error:  # LinAlgError is one too
        raise NotInvertible from error


def _by_torch(damped: Array) -> Array:
    import torch

    lower, failed = torch.linalg.cholesky_ex(damped)
    if failed:
        raise NotInvertible
    factor, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
    if failed or not bool(torch.isfinite(factor).all()):
        raise NotInvertible
    return factor
