"""Wrappers of a Transformers model with positional input tensors and one output tensor, as in an ONNX graph."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from compression_runner.dataset.generation import DECODER
from compression_runner.dataset.texts import load_tokenizer
from compression_runner.formats.embedder import Embedder, pooler
from compressionjob.tasks import TASKS, Task

ATTENTION_MASK: Final = "attention_mask"
INPUT_MASK: Final = "input_mask"
"""1 for padding."""
TEXT_INPUTS: Final = ("input_ids", ATTENTION_MASK, "token_type_ids")


@dataclass(frozen=True)
class Interface:
    """Names of the inputs and the output of a graph; `more` are further outputs (the cache of a language model)."""

    inputs: tuple[str, ...]
    output: str
    more: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """All outputs in order."""
        return (self.output, *self.more)


class Classifier(torch.nn.Module):
    """A classification model that returns its logits (batch, classes)."""

    def __init__(self, model: torch.nn.Module, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.inputs = model, inputs

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, classes)."""
        named_inputs = dict(zip(self.inputs, tensors, strict=True))
        return self.reduce(self.model(**named_inputs), named_inputs)

    def reduce(self, outputs: Any, named_inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return logits from the outputs of the inner model; some (VideoPrism) return them for one position."""
        logits: torch.Tensor = outputs.logits
        return logits[:, 0] if logits.dim() == 3 and logits.shape[1] == 1 else logits


class SequenceModel(Classifier):
    """A model with logits for each position."""

    def reduce(self, outputs: Any, named_inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return logits (batch, sequence, vocabulary) from the outputs of the inner model."""
        logits: torch.Tensor = outputs.logits
        return logits


class ClassifierOfInputMask(Classifier):
    """A classifier with an inverted mask (XLNet), which this wrapper computes.

    The model would subtract integers from 1.0, which the exporter of torch does not support.
    """

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, classes)."""
        named_inputs = dict(zip(self.inputs, tensors, strict=True))
        mask = (named_inputs.pop(ATTENTION_MASK) == 0).to(torch.float32)
        return self.reduce(self.model(**named_inputs, **{INPUT_MASK: mask}), named_inputs)


class EncoderDecoder(SequenceModel):
    """An encoder and a decoder that return the logits of the next tokens (batch, sequence, vocabulary)."""

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, sequence of the decoder, vocabulary)."""
        named_inputs = dict(zip(self.inputs, tensors, strict=True))
        return self.reduce(self.model(**named_inputs, use_cache=False), named_inputs)


class LanguageModel(SequenceModel):
    """A causal language model that returns its logits (batch, sequence, vocabulary), without a cache: for training."""

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, sequence, vocabulary)."""
        named_inputs = dict(zip(self.inputs, tensors, strict=True))
        return self.reduce(self.model(**named_inputs, use_cache=False), named_inputs)


def wrap(model: torch.nn.Module, path: Path, task: Task) -> tuple[torch.nn.Module, Interface]:
    """Return the module to export for a task, and the names of its inputs and output."""
    if TASKS[task].content in ("image", "video", "audio"):
        # Pixels, samples or a spectrogram, under the name of the model's first input.
        signals: tuple[str, ...] = (str(getattr(model, "main_input_name", "pixel_values")),)
        if getattr(model.config, "is_encoder_decoder", False):
            return EncoderDecoder(model, (*signals, DECODER)).eval(), Interface((*signals, DECODER), "logits")
        kind = SequenceModel if TASKS[task].writes else Classifier
        return kind(model, signals).eval(), Interface(signals, "logits")
    inputs = _text_inputs(model, path)
    if task == "summarization":
        return EncoderDecoder(model, (*inputs, DECODER)).eval(), Interface((*inputs, DECODER), "logits")
    if task in ("text-classification", "text-regression"):
        inverted = ATTENTION_MASK in inputs and INPUT_MASK in inspect.signature(model.forward).parameters
        classifier = ClassifierOfInputMask if inverted else Classifier
        return classifier(model, inputs).eval(), Interface(inputs, "logits")
    if task == "text-generation":
        return LanguageModel(model, inputs).eval(), Interface(inputs, "logits")
    embedder = Embedder(model, inputs, pooler(path)).eval()
    # Not "embedding": the exporter uses that name for the token lookup, and names are unique in a graph.
    return embedder, Interface(inputs, "sentence_embedding")


def _text_inputs(model: torch.nn.Module, path: Path) -> tuple[str, ...]:
    """Return the inputs that the tokenizer returns and the model takes."""
    tokenizer = load_tokenizer(path)
    accepted = inspect.signature(model.forward).parameters
    return tuple(name for name in TEXT_INPUTS if name in tokenizer.model_input_names and name in accepted)
