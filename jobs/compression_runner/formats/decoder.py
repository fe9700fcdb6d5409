"""A causal language model with its cache as plain tensors, so that one graph runs whole texts and single steps.

Inputs `input_ids` (batch, sequence), `attention_mask` (batch, past + sequence) and for each layer
`past_key_values.N.key` and `.value` (batch, heads, past, width of a head); outputs `logits` (batch, sequence,
vocabulary) and `present.N.key` and `.value` (batch, heads, past + sequence, width of a head). These are the names that
Optimum and onnxruntime-genai use. With past = 0 it is a full forward, with sequence = 1 a step of decoding.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from transformers.cache_utils import DynamicCache

from compression_runner.errors import BadRecipe
from compression_runner.formats.task_module import Interface

Probe = tuple[torch.Tensor, ...]
SEED: Final = 20261125
PARTS: Final = ("key", "value")
# (batch, past, sequence): with and without a cache, and single steps, in sizes other than those of the export.
SHAPES: Final = ((2, 5, 7), (1, 0, 5), (3, 0, 48), (1, 23, 1), (2, 9, 1), (2, 30, 16))


class Decoder(torch.nn.Module):
    """Map tokens, mask and cache to logits and the new cache, by position."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, *past: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Return logits (batch, sequence, vocabulary), then key and value of each layer."""
        # Positions count attended tokens only, so that padding in front of a text does not shift it.
        positions = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, -input_ids.shape[1] :]
        cache = DynamicCache(list(zip(past[::2], past[1::2], strict=True)))
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        present = [tensor for layer in outputs.past_key_values.layers for tensor in (layer.keys, layer.values)]
        return outputs.logits, *present


def decoder(model: torch.nn.Module) -> tuple[Decoder, Interface]:
    """Return the module to export, and the names of its inputs and outputs.

    Raises BadRecipe for a model whose cache is not one key and one value per layer.
    """
    module = Decoder(model).eval()
    layers = len(_empty_cache(module, 1)) // 2
    names = [f"{layer}.{part}" for layer in range(layers) for part in PARTS]
    inputs = ("input_ids", "attention_mask", *(f"past_key_values.{name}" for name in names))
    return module, Interface(inputs, "logits", tuple(f"present.{name}" for name in names))


def dynamic_shapes(interface: Interface, longest: int) -> tuple[Any, ...]:
    """Return the free axes of the inputs, in the order of the arguments of `Decoder.forward`."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    sequence = torch.export.Dim("sequence", min=1, max=longest)
    total = torch.export.Dim("past_and_sequence", min=1, max=longest)
    past = torch.export.Dim("past", min=0, max=longest - 1)
    states = tuple({0: batch, 2: past} for _ in interface.inputs[2:])
    return {0: batch, 1: sequence}, {0: batch, 1: total}, states


def decoder_probes(module: Decoder, longest: int) -> list[Probe]:
    """Return distinct inputs, each with a cache that the model computed from other tokens; the first is for export."""
    generator = torch.Generator().manual_seed(SEED)
    vocabulary = int(module.model.config.vocab_size)  # type: ignore[union-attr, arg-type]
    inputs = []
    for batch, past, sequence in SHAPES:
        sequence = max(1, min(sequence, longest - past))
        tokens = torch.randint(0, vocabulary, (batch, past + sequence), generator=generator)
        mask = torch.ones((batch, past + sequence), dtype=torch.int64)
        if batch > 1:
            # The last text is shorter and padded in front, to reveal a mask or positions without effect.
            mask[-1, : max(1, (past + sequence) // 3)] = 0
        states = _empty_cache(module, batch)
        if past:
            with torch.no_grad():
                states = module(tokens[:, :past], mask[:, :past], *states)[1:]
        inputs.append((tokens[:, past:], mask, *states))
    return inputs


def _empty_cache(module: Decoder, batch: int) -> tuple[torch.Tensor, ...]:
    """Return an empty cache, in the shapes of the model's own cache."""
    with torch.no_grad():
        one = torch.ones((batch, 1), dtype=torch.int64)
        outputs = module.model(input_ids=one, attention_mask=one, use_cache=True)
    layers: Sequence[Any] = getattr(getattr(outputs, "past_key_values", None), "layers", ())
    states = [getattr(layer, f"{part}s", None) for layer in layers for part in PARTS]
    if not states or not all(isinstance(state, torch.Tensor) and state.dim() == 4 for state in states):
        problem = f"the cache of {type(module.model).__name__} is not one key and one value per layer"
        remedy = "export the model to ONNX yourself, with past_key_values as inputs, and name that as the source"
        raise BadRecipe("UnsupportedModel", "spec.model.source", "export to ONNX", problem, remedy)
    return tuple(state[:, :, :0] for state in states if isinstance(state, torch.Tensor))
