"""The inverse of a layer's Hessian, as GPTQ and SparseGPT walk along it."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, lapack


class NotInvertible(Exception):
    """A layer whose inputs on the calibration data are not finite, or do not tell its weights apart."""

    def __init__(self) -> None:
        super().__init__("the inputs of a layer on the calibration data are not finite, or too much alike")


def inverse_factor(hessian: NDArray[np.float64], damping: float) -> NDArray[np.float32]:
    """The upper Cholesky factor U of the inverse of a damped Hessian, H^-1 = U^T U, shape (inputs, inputs).

    Row i of U holds what the inputs after i have to take over when input i is fixed, as in GPTQ (Frantar et al. 2022,
    arXiv:2210.17323). `damping` is added to the diagonal as a part of its mean; inputs that are never active stay by
    themselves. Raises NotInvertible.
    """
    damped = hessian.copy()
    diagonal = np.diag_indices_from(damped)
    active = damped[diagonal] > 0
    mean = float(damped[diagonal].mean()) or 1.0
    damped[diagonal] += damping * mean
    damped[diagonal] = np.where(active, damped[diagonal], mean)
    try:
        inverse, failed = lapack.dpotri(cholesky(damped, lower=True), lower=1)
        if failed:
            raise NotInvertible
        factor = cholesky(np.tril(inverse) + np.tril(inverse, -1).T, lower=False)
    except ValueError as error:  # LinAlgError is one too
        raise NotInvertible from error
    return np.asarray(factor, np.float32)
