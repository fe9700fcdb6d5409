"""Tucker and CP of kernels, and 1x1 convolutions as matrices."""

import numpy as np
import pytest

from compression_runner.methods.factorize.cp import CanonicalPolyadic, canonical, random_start
from compression_runner.methods.factorize.decomposition import Factor
from compression_runner.methods.factorize.model import Target
from compression_runner.methods.factorize.pointwise import Pointwise
from compression_runner.methods.factorize.product import product
from compression_runner.methods.factorize.tucker import Tucker

RANDOM = np.random.default_rng(6)


def kernel_of(factors: tuple[Factor, ...], kernel: np.ndarray) -> np.ndarray:
    return product(Target("w", "convolution", kernel.shape, 4, lambda: kernel), factors)


def loss(factors: tuple[Factor, ...], kernel: np.ndarray) -> float:
    return float(((kernel_of(factors, kernel) - kernel) ** 2).sum() / (kernel**2).sum())


def elements(factors: tuple[Factor, ...]) -> int:
    return sum(factor.array.size for factor in factors)


@pytest.mark.parametrize("space", [(3,), (3, 3), (2, 3, 3)])
def test_tucker_recovers_a_low_rank_kernel_exactly(space: tuple[int, ...]) -> None:
    core = RANDOM.normal(size=(3, 2, *space))
    kernel = np.einsum("op,iq,pq...->oi...", RANDOM.normal(size=(8, 3)), RANDOM.normal(size=(6, 2)), core)
    tucker = Tucker(kernel)
    factors = tucker.factors((3, 2))
    assert [factor.array.shape for factor in factors] == [
        (2, 6, *(1 for _ in space)),
        (3, 2, *space),
        (8, 3, *(1 for _ in space)),
    ]
    assert [factor.axes for factor in factors] == [(), tuple(range(len(space))), ()]
    assert loss(factors, kernel) < 1e-12
    place = tucker.candidates.ranks.tolist().index([3, 2])
    assert tucker.candidates.losses[place] < 1e-12
    assert tucker.candidates.sizes[place] == elements(factors)


@pytest.mark.parametrize("ranks", [(8, 3), (4, 6), (5, 4)])
def test_tucker_loses_at_most_the_stated_loss(ranks: tuple[int, int]) -> None:
    kernel = RANDOM.normal(size=(8, 6, 3, 3))
    tucker = Tucker(kernel)
    place = tucker.candidates.ranks.tolist().index(list(ranks))
    factors = tucker.factors(ranks)
    # A side of full rank needs no additional convolution.
    assert len(factors) == 1 + (ranks[0] < 8) + (ranks[1] < 6)
    assert tucker.candidates.sizes[place] == elements(factors)
    assert 0 < loss(factors, kernel) <= tucker.candidates.losses[place] + 1e-9


def test_tucker_considers_a_requested_rank_of_many_channels_only() -> None:
    kernel = RANDOM.normal(size=(100, 90, 1, 3)).astype(np.float32)
    assert Tucker(kernel, requested_rank=77).candidates.ranks.tolist() == [[77, 77]]
    assert len(Tucker(kernel).candidates.ranks) < 65 * 65


def test_cp_recovers_a_low_rank_kernel() -> None:
    vectors = [RANDOM.normal(size=(size, 3)) for size in (8, 6, 3, 3)]
    kernel = np.einsum("or,ir,ar,br->oiab", *vectors)
    factors = CanonicalPolyadic(kernel).factors((3,))
    assert [factor.array.shape for factor in factors] == [(3, 6, 1, 1), (3, 1, 3, 1), (3, 1, 1, 3), (8, 3, 1, 1)]
    assert [factor.axes for factor in factors] == [(), (0,), (1,), ()]
    assert loss(factors, kernel) < 1e-3


def test_cp_loses_at_most_the_stated_loss_and_less_at_higher_ranks() -> None:
    kernel = RANDOM.normal(size=(8, 6, 3, 3))
    candidates = CanonicalPolyadic(kernel).candidates
    assert candidates.sizes.max() < kernel.size
    assert (np.diff(candidates.losses) < 0).all()
    for rank, size, stated in zip(candidates.ranks[:, 0], candidates.sizes, candidates.losses, strict=True):
        factors = CanonicalPolyadic(kernel).factors((int(rank),))
        assert elements(factors) == size
        assert stated - 0.1 < loss(factors, kernel) <= stated


def test_cp_is_deterministic() -> None:
    kernel = RANDOM.normal(size=(5, 4, 3))
    runs = [canonical(kernel, random_start(kernel.shape, 6), 5) for _ in range(2)]
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_pointwise_kernel_is_factorized_as_a_matrix() -> None:
    kernel = RANDOM.normal(size=(8, 6, 1, 1))
    pointwise = Pointwise(kernel)
    factors = pointwise.factors((4,))
    assert [factor.axes for factor in factors] == [(0, 1), ()]
    best = np.linalg.svd(kernel[:, :, 0, 0], compute_uv=False)
    assert loss(factors, kernel) == pytest.approx((best[4:] ** 2).sum() / (best**2).sum())
    assert pointwise.candidates.sizes[3] == elements(factors)
