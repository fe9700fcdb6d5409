"""Linear layers that round their inputs, as engines do that multiply integers or FP8 numbers.

They stand for the products of such an engine where the model is judged: weights are floats, and inputs are rounded and
back.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

LARGEST: Final = 127
SMALLEST: Final = 1e-10
"""Smallest scale, for tokens whose inputs are all zero."""
TOKENS: Final[Mapping[str, Any]] = {
    "num_bits": 8, "type": "int", "strategy": "token", "dynamic": True, "symmetric": True,
}  # fmt: skip
"""The inputs that are rounded here, as compressed-tensors writes them."""


class RoundingLinear(torch.nn.Linear):
    """A linear layer that rounds its inputs."""

    exact = False
    """Whether inputs are not rounded."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the product with rounded inputs."""
        return super().forward(input if self.exact else self.rounded(input))

    def rounded(self, input: torch.Tensor) -> torch.Tensor:
        """Return the rounded inputs."""
        raise NotImplementedError


class Int8TokenLinear(RoundingLinear):
    """A linear layer that rounds its inputs to INT8, with a scale for each token: its largest magnitude is 127."""

    def rounded(self, input: torch.Tensor) -> torch.Tensor:
        """Return inputs (..., channels) rounded to INT8 times the scale of their token."""
        scale = (input.abs().amax(dim=-1, keepdim=True) / LARGEST).clamp(min=SMALLEST)
        return torch.round(input / scale) * scale


@contextmanager
def without_rounding(model: torch.nn.Module) -> Iterator[bool]:
    """Disable rounding in the context; yield whether the model has layers that round.

    Two runtimes differ in the last bit of a float. Rounding occasionally amplifies that to a whole step, which is a
    sixteenth of the value in FP8. After some layers the outputs differ by the error of rounding, although both runtimes
    are right.
    """
    layers = [module for module in model.modules() if isinstance(module, RoundingLinear)]
    for layer in layers:
        layer.exact = True
    try:
        yield bool(layers)
    finally:
        for layer in layers:
            layer.exact = False


def round_inputs(model: torch.nn.Module, path: Path) -> None:
    """Let the linear layers of a model round their inputs as the configuration of its directory says.

    Raises ValueError for another form of rounding than INT8 for each token.
    """
    settings = json.loads((path / "config.json").read_text()).get("quantization_config") or {}
    for group in (settings.get("config_groups") or {}).values():
        inputs = group.get("input_activations")
        if inputs is None:
            continue
        if any(inputs.get(name) != value for name, value in TOKENS.items()):
            raise ValueError(
                f"inputs of {inputs.get('strategy')} {inputs.get('type')}{inputs.get('num_bits')} are not supported"
            )
        for layer in _layers(model, group, settings):
            layer.__class__ = Int8TokenLinear


def _layers(model: torch.nn.Module, group: Mapping[str, Any], settings: Mapping[str, Any]) -> list[torch.nn.Linear]:
    """Return the linear layers of a group, by the names and patterns of its configuration."""
    from compressed_tensors.utils import match_named_modules  # type: ignore[import-untyped]

    matching = match_named_modules(model, group.get("targets") or [], settings.get("ignore") or [])
    return [module for _, module in matching if isinstance(module, torch.nn.Linear)]
