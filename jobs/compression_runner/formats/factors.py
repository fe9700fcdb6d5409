"""Modules that hold a weight as a product of factors."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import nn

from compression_runner.formats.linear import features

CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Convolutions that can be factorized, without derived classes, which may use their weights in other ways."""


class FactorizedLinear(nn.Sequential):
    """A linear layer as a product of two: x (..., inputs) -> (..., rank) -> (..., outputs), bias in the second."""

    def __init__(self, inputs: int, rank: int, outputs: int, *, bias: bool) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, rank, bias=False)
        self.second = nn.Linear(rank, outputs, bias=bias)

    @property
    def weight(self) -> torch.Tensor:
        """The product of both factors (outputs, inputs), for models that read the type or values of the weight."""
        return self.second.weight @ self.first.weight

    @property
    def bias(self) -> torch.Tensor | None:
        """The bias of the second factor."""
        return self.second.bias


class FactorizedEmbedding(nn.Sequential):
    """An embedding of `count` entries in `rank` dimensions, and a linear map to (..., width)."""

    def __init__(self, count: int, rank: int, width: int, padding_idx: int | None = None) -> None:
        super().__init__()
        self.first = nn.Embedding(count, rank, padding_idx=padding_idx)
        self.second = nn.Linear(rank, width, bias=False)

    @property
    def weight(self) -> torch.Tensor:
        """The product of both factors (count, width), for models that read the type or values of the weight."""
        return self.first.weight @ self.second.weight.T

    @property
    def num_embeddings(self) -> int:
        """The number of entries."""
        return self.first.num_embeddings

    @property
    def embedding_dim(self) -> int:
        """The width of an entry."""
        return self.second.out_features


class FactorizedConvolution(nn.Sequential):
    """A convolution as a sequence of convolutions along separate spatial axes, with the bias in the last."""

    @property
    def weight(self) -> torch.Tensor:
        """The composition (outputs, inputs, ...), for models that read the type or values of the weight."""
        layers: list[Any] = [*self]
        composed: Any = layers[0].weight
        for each in layers[1:]:
            channels = composed.unflatten(0, (each.groups, -1))
            weight = each.weight.unflatten(0, (each.groups, -1))
            composed = torch.einsum("gom...,gmi...->goi...", weight, channels).flatten(0, 1)
        weights: torch.Tensor = composed
        return weights

    @property
    def bias(self) -> torch.Tensor | None:
        """The bias of the last convolution."""
        last: Any = self[-1]
        bias: torch.Tensor | None = last.bias
        return bias

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """The kernel size along each axis, for models that compute their padding from it."""
        return self._along("kernel_size")

    @property
    def stride(self) -> tuple[int, ...]:
        """The stride along each axis."""
        return self._along("stride")

    @property
    def dilation(self) -> tuple[int, ...]:
        """The dilation along each axis."""
        return self._along("dilation")

    def _along(self, name: str) -> tuple[int, ...]:
        return tuple(max(values) for values in zip(*(getattr(each, name) for each in self), strict=True))


def factorized(old: nn.Module, change: Mapping[str, Any]) -> nn.Module:
    """Return the factorized module for `change` (an entry of Surgery.modules), with uninitialized weights.

    Raises ValueError for a module of another kind.
    """
    kind = change["kind"]
    size = features(old)
    if kind == "factorized-linear" and size is not None:
        return FactorizedLinear(size[0], int(change["rank"]), size[1], bias=getattr(old, "bias", None) is not None)
    if kind == "factorized-embedding" and isinstance(old, nn.Embedding):
        return FactorizedEmbedding(old.num_embeddings, int(change["rank"]), old.embedding_dim, old.padding_idx)
    if kind == "factorized-convolution" and type(old) in CONVOLUTIONS:
        return _convolutions(old, change["kernels"])
    raise ValueError(f"a {type(old).__name__} cannot become a {kind}")


def _convolutions(old: Any, kernels: Sequence[Mapping[str, Any]]) -> FactorizedConvolution:
    """Return one convolution per kernel {"shape": (outputs, inputs of a group, ...), "axes": [...]}.

    Each has the strides, padding and dilations of `old` along its spatial axes, and none along the others.
    """
    parts: list[nn.Module] = []
    channels = 0
    for index, kernel in enumerate(kernels):
        outputs, inputs, *sizes = kernel["shape"]
        groups = channels // inputs if index else 1
        along = {
            name: tuple(value if axis in kernel["axes"] else none for axis, value in enumerate(values))
            for name, values, none in (("stride", old.stride, 1), ("dilation", old.dilation, 1))
        }
        padding = old.padding
        if not isinstance(padding, str):
            padding = tuple(value if axis in kernel["axes"] else 0 for axis, value in enumerate(padding))
        bias = old.bias is not None and index == len(kernels) - 1
        parts.append(
            type(old)(inputs * groups, outputs, tuple(sizes), padding=padding, groups=groups, bias=bias, **along)
        )
        channels = outputs
    return FactorizedConvolution(*parts)
