"""Example inputs for an export and its check, with distinct values."""

from pathlib import Path
from typing import Any, Final

import torch

from compression_runner.dataset.generation import DECODER
from compression_runner.formats.signals import SIGNALS, signal_shapes
from compression_runner.formats.task_module import Interface
from compression_runner.formats.transformers_model import sequence_length_limit

Probe = tuple[torch.Tensor, ...]
SEED: Final = 20261124
# (batch, sequence): sizes other than those of the export reveal a hard-coded size.
DECODER_LENGTHS: Final = (4, 1, 9, 2)
TEXT_SHAPES: Final = ((2, 16), (1, 5), (3, 48), (2, 120))


def probes(model: torch.nn.Module, path: Path, interface: Interface) -> list[Probe]:
    """Return distinct inputs in the order of the interface; the first is for the export."""
    generator = torch.Generator().manual_seed(SEED)
    if interface.inputs[0] in SIGNALS:
        shapes = signal_shapes(model, path, interface.inputs[0])
        inputs: list[Probe] = [(torch.randn(shape, generator=generator),) for shape in shapes]
    else:
        limit = sequence_length_limit(model)
        inputs = [_text(model, interface, batch, min(length, limit), generator) for batch, length in TEXT_SHAPES]
    if DECODER not in interface.inputs:
        return inputs
    config: Any = model.config
    lengths = zip(inputs, DECODER_LENGTHS, strict=False)
    shapes = [(len(tensors[0]), length) for tensors, length in lengths]
    decoder_tokens = [torch.randint(0, int(config.vocab_size), shape, generator=generator) for shape in shapes]
    return [(*tensors, tokens) for tensors, tokens in zip(inputs, decoder_tokens, strict=True)]


def _text(model: torch.nn.Module, interface: Interface, batch: int, length: int, generator: torch.Generator) -> Probe:
    config: Any = model.config
    vocabulary = int(config.get_text_config().vocab_size)
    named_inputs = {"input_ids": torch.randint(0, vocabulary, (batch, length), generator=generator)}
    mask = torch.ones((batch, length), dtype=torch.int64)
    # The last row is padded, to reveal a mask without effect.
    mask[-1, max(2, length - length // 3) :] = 0
    if getattr(config, "is_encoder_decoder", False):
        _set_end_token(named_inputs["input_ids"], mask, config.eos_token_id, vocabulary)
    named_inputs["attention_mask"] = mask
    kinds = int(getattr(config, "type_vocab_size", 0) or 0)
    segments = torch.zeros((batch, length), dtype=torch.int64)
    if kinds > 1:
        segments[:, length // 2 :] = 1
    named_inputs["token_type_ids"] = segments
    return tuple(named_inputs[name] for name in interface.inputs if name in named_inputs)


def _set_end_token(tokens: torch.Tensor, mask: torch.Tensor, end: Any, vocabulary: int) -> None:
    """Put the end token at the end of each text only, in place: BART and T5 classify by it, and expect it once."""
    if isinstance(end, int) and 0 <= end < vocabulary:
        tokens[tokens == end] = (end + 1) % vocabulary
        tokens[torch.arange(len(tokens)), mask.sum(1) - 1] = end
