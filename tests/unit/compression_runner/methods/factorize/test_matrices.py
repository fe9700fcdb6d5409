"""SVD and semi-NMF of matrices against their known properties."""

import numpy as np
import pytest

from compression_runner.methods.factorize.decomposition import Factor, InputMoments
from compression_runner.methods.factorize.low_rank import LowRank
from compression_runner.methods.factorize.semi_nonnegative import SemiNonnegative, nonnegative

RANDOM = np.random.default_rng(5)


def product(factors: tuple[Factor, ...]) -> np.ndarray:
    first, second = (factor.array.astype(np.float64) for factor in factors)
    return np.asarray(first @ second)


def inputs_of(rows: np.ndarray) -> InputMoments:
    return InputMoments(float(len(rows)), rows.sum(0), rows.T @ rows)


@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (20, 20)])
@pytest.mark.parametrize("rank", [1, 5])
def test_low_rank_equals_the_truncated_svd(shape: tuple[int, int], rank: int) -> None:
    weight = RANDOM.normal(size=shape)
    left, values, right = np.linalg.svd(weight, full_matrices=False)
    best = (left[:, :rank] * values[:rank]) @ right[:rank]
    low_rank = LowRank(weight)
    np.testing.assert_allclose(product(low_rank.factors((rank,))), best, atol=1e-9)
    np.testing.assert_allclose(low_rank.energies, values**2, rtol=1e-9)
    lost = low_rank.candidates.losses[rank - 1]
    assert lost == pytest.approx((values[rank:] ** 2).sum() / (values**2).sum())
    assert low_rank.candidates.sizes[rank - 1] == rank * sum(shape)


@pytest.mark.parametrize("shape", [(24, 10), (10, 24)])
def test_known_inputs_lower_the_error_of_the_outputs(shape: tuple[int, int]) -> None:
    weight = RANDOM.normal(size=shape)
    # Inputs mostly in four directions, around a mean other than zero.
    rows = RANDOM.normal(size=(400, 4)) @ RANDOM.normal(size=(4, shape[0])) + 0.1 * RANDOM.normal(size=(400, shape[0]))
    rows += 3.0
    aware = LowRank(weight, inputs_of(rows))
    deviations = (rows @ weight).std(axis=0)
    errors = [
        np.linalg.norm(rows @ (weight - product(decomposition.factors((5,)))) / deviations)
        for decomposition in (aware, LowRank(weight))
    ]
    # The best of rank 5 for these inputs is the truncated SVD of the outputs, projected back.
    values = np.linalg.svd(rows @ weight / deviations, compute_uv=False)
    best = np.sqrt((values[5:] ** 2).sum())
    assert errors[0] == pytest.approx(best, rel=0.05)
    assert errors[0] < 0.5 * errors[1]


def test_losses_with_known_inputs_are_fractions_of_the_output_variance() -> None:
    weight = RANDOM.normal(size=(16, 8)) * np.array([1, 1, 1, 1, 3, 3, 3, 3])
    rows = RANDOM.normal(size=(500, 16)) + 10.0
    outputs = rows @ weight
    aware = LowRank(weight, inputs_of(rows))
    for rank in (1, 4, 7):
        lost = ((rows @ (weight - product(aware.factors((rank,))))) ** 2).sum(axis=0)
        share = (lost / ((outputs - outputs.mean(0)) ** 2).sum(axis=0)).mean()
        assert aware.candidates.losses[rank - 1] == pytest.approx(share, rel=0.05, abs=1e-3)


def test_an_output_of_large_variance_does_not_use_up_the_rank() -> None:
    weight = RANDOM.normal(size=(20, 10)) * np.array([30.0] + [1.0] * 9)
    rows = RANDOM.normal(size=(300, 20))
    residual = rows @ (weight - product(LowRank(weight, inputs_of(rows)).factors((9,))))
    shares = (residual**2).sum(axis=0) / ((rows @ weight) ** 2).sum(axis=0)
    # Without scaling, the first output would be exact, and the smallest direction of the other nine would be lost.
    assert shares[0] > 1e-4
    assert shares[1:].mean() < 0.1


def test_frequently_read_rows_of_a_table_have_less_error() -> None:
    table = RANDOM.normal(size=(50, 20)).astype(np.float32)
    counts = np.zeros(50)
    counts[:8] = 100.0
    known = LowRank(table, InputMoments(counts.sum(), counts, counts))
    errors = ((table - product(known.factors((8,)))) ** 2).sum(1)
    assert errors[:8].max() < 0.1 * errors[8:].min()
    assert known.factors((8,))[0].array.dtype == np.float32


def test_singular_input_moments_give_finite_factors() -> None:
    rows = np.ones((3, 6))
    factors = LowRank(RANDOM.normal(size=(6, 9)), inputs_of(rows)).factors((2,))
    assert np.isfinite(product(factors)).all()


def test_factors_do_not_depend_on_signs_of_eigenvectors() -> None:
    weight = RANDOM.normal(size=(9, 7))
    _, second = LowRank(weight).matrices(4)
    largest = np.abs(second).argmax(axis=1)
    assert (second[np.arange(4), largest] > 0).all()
    _, negated = LowRank(-weight).matrices(4)
    np.testing.assert_allclose(negated, second, atol=1e-9)


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
def test_semi_nmf_is_nonnegative_and_has_the_loss_of_one_rank_less(
    shape: tuple[int, int],
) -> None:
    weight = RANDOM.normal(size=shape)
    free, restricted = LowRank(weight), SemiNonnegative(weight)
    for rank in (2, 6, 12):
        first, second = restricted.factors((rank,))
        assert first.array.min() >= 0
        assert first.array.shape == (shape[0], rank)
        assert second.array.shape == (rank, shape[1])
        np.testing.assert_allclose(product((first, second)), product(free.factors((rank - 1,))), atol=1e-9)
        index = restricted.candidates.ranks[:, 0].tolist().index(rank)
        assert restricted.candidates.sizes[index] == rank * sum(shape)
        assert restricted.candidates.losses[index] == free.candidates.losses[rank - 2]


def test_a_nonnegative_factor_does_not_change() -> None:
    first, second = nonnegative(np.array([[1.0, 2.0], [3.0, 0.0]]), np.eye(2))
    np.testing.assert_array_equal(first[:, :2], [[1, 2], [3, 0]])
    np.testing.assert_array_equal(first[:, 2], [0, 0])
    np.testing.assert_array_equal(first @ second, [[1, 2], [3, 0]])
