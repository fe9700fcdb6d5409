"""Inputs for exporting and for the check of an export: all different, so that no two inputs can be taken for one."""

from pathlib import Path
from typing import Any, Final

import torch

from compression_runner.dataset.writing import DECODER
from compression_runner.formats.signals import SIGNALS, signal_shapes
from compression_runner.formats.task_module import Interface
from compression_runner.formats.transformers_model import sequence_length_limit

Probe = tuple[torch.Tensor, ...]
SEED: Final = 20261124
# (batch, sequence): lengths and batches other than those of the export show a size that was baked in.
DECODER_LENGTHS: Final = (4, 1, 9, 2)
TEXT_SHAPES: Final = ((2, 16), (1, 5), (3, 48), (2, 120))


def probes(model: torch.nn.Module, path: Path, interface: Interface) -> list[Probe]:
    """Distinct inputs in the order of the interface; the first is the one to export with."""
    generator = torch.Generator().manual_seed(SEED)
    if interface.inputs[0] in SIGNALS:
        shapes = signal_shapes(model, path, interface.inputs[0])
        found: list[Probe] = [(torch.randn(shape, generator=generator),) for shape in shapes]
    else:
        limit = sequence_length_limit(model)
        found = [_text(model, interface, batch, min(length, limit), generator) for batch, length in TEXT_SHAPES]
    if DECODER not in interface.inputs:
        return found
    config: Any = model.config
    lengths = zip(found, DECODER_LENGTHS, strict=False)
    shapes = [(len(tensors[0]), length) for tensors, length in lengths]
    written = [torch.randint(0, int(config.vocab_size), shape, generator=generator) for shape in shapes]
    return [(*tensors, tokens) for tensors, tokens in zip(found, written, strict=True)]


def _text(model: torch.nn.Module, interface: Interface, batch: int, length: int, generator: torch.Generator) -> Probe:
    config: Any = model.config
    vocabulary = int(config.get_text_config().vocab_size)
    given = {"input_ids": torch.randint(0, vocabulary, (batch, length), generator=generator)}
    mask = torch.ones((batch, length), dtype=torch.int64)
    # The last row is padded, so that a mask without effect is noticed.
    mask[-1, max(2, length - length // 3) :] = 0
    if getattr(config, "is_encoder_decoder", False):
        _end(given["input_ids"], mask, config.eos_token_id, vocabulary)
    given["attention_mask"] = mask
    kinds = int(getattr(config, "type_vocab_size", 0) or 0)
    segments = torch.zeros((batch, length), dtype=torch.int64)
    if kinds > 1:
        segments[:, length // 2 :] = 1
    given["token_type_ids"] = segments
    return tuple(given[name] for name in interface.inputs if name in given)


def _end(tokens: torch.Tensor, mask: torch.Tensor, end: Any, vocabulary: int) -> None:
    """Ends each text with the one token for that, in place: BART and T5 classify by it, and take it once per text."""
    if isinstance(end, int) and 0 <= end < vocabulary:
        tokens[tokens == end] = (end + 1) % vocabulary
        tokens[torch.arange(len(tokens)), mask.sum(1) - 1] = end
