"""The weight of a factorized module equals the product of its factors."""

import pytest
import torch
from torch import nn

from compression_runner.formats.factors import FactorizedEmbedding, FactorizedLinear, factorized


def test_the_weight_of_a_factorized_linear_layer_is_the_product() -> None:
    layers = FactorizedLinear(6, 2, 5, bias=True)
    given = torch.randn(3, 6)
    torch.testing.assert_close(nn.functional.linear(given, layers.weight, layers.bias), layers(given))
    assert FactorizedLinear(6, 2, 5, bias=False).bias is None


def test_the_weight_of_a_factorized_embedding_is_the_product() -> None:
    layers = FactorizedEmbedding(7, 2, 5)
    assert (layers.num_embeddings, layers.embedding_dim) == (7, 5)
    torch.testing.assert_close(layers.weight[torch.tensor([3, 6])], layers(torch.tensor([3, 6])))


@pytest.mark.parametrize(
    "kernels",
    [
        [((2, 6, 1, 1), ()), ((3, 2, 3, 3), (0, 1)), ((8, 3, 1, 1), ())],
        [((4, 6, 1, 1), ()), ((4, 1, 3, 1), (0,)), ((4, 1, 1, 3), (1,)), ((8, 4, 1, 1), ())],
    ],
    ids=["tucker", "cp"],
)
def test_the_weight_of_factorized_convolutions_is_their_composition(
    kernels: list[tuple[tuple[int, ...], tuple[int, ...]]],
) -> None:
    old = nn.Conv2d(6, 8, 3, stride=2, padding=1)
    change = {
        "kind": "factorized-convolution",
        "kernels": [{"shape": list(shape), "axes": list(axes)} for shape, axes in kernels],
    }
    layers = factorized(old, change)
    given = torch.randn(2, 6, 9, 9)
    composed = nn.functional.conv2d(given, layers.weight, layers.bias, stride=2, padding=1)  # type: ignore[arg-type]
    torch.testing.assert_close(composed, layers(given), atol=1e-5, rtol=1e-4)
    assert (layers.kernel_size, layers.stride, layers.dilation) == ((3, 3), (2, 2), (1, 1))  # type: ignore[attr-defined]
