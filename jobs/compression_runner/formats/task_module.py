"""Small modules around a Transformers model: tensors in by position, one tensor out, as an ONNX graph has them."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from compression_runner.dataset.texts import load_tokenizer
from compression_runner.dataset.writing import DECODER
from compression_runner.formats.embedder import Embedder, pooler
from compressionjob.tasks import TASKS, Task

USUAL_MASK: Final = "attention_mask"
INPUT_MASK: Final = "input_mask"
"""1 where a text is filled up."""
TEXT_INPUTS: Final = ("input_ids", USUAL_MASK, "token_type_ids")


@dataclass(frozen=True)
class Interface:
    """Names of a graph's inputs and of its output; `more` are outputs beside it (a language model's cache)."""

    inputs: tuple[str, ...]
    output: str
    more: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Every output in order."""
        return (self.output, *self.more)


class Classifier(torch.nn.Module):
    """A classification model reduced to its logits (batch, classes)."""

    def __init__(self, model: torch.nn.Module, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.inputs = model, inputs

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Logits (batch, classes)."""
        given = dict(zip(self.inputs, tensors, strict=True))
        return self.reduce(self.model(**given), given)

    def reduce(self, outputs: Any, given: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Logits from the inner model's outputs; some (VideoPrism) give them as those of one place."""
        logits: torch.Tensor = outputs.logits
        return logits[:, 0] if logits.dim() == 3 and logits.shape[1] == 1 else logits


class Sequential(Classifier):
    """A model that answers for each place, one among them."""

    def reduce(self, outputs: Any, given: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Logits (batch, sequence, vocabulary) from the inner model's outputs."""
        logits: torch.Tensor = outputs.logits
        return logits


class ClassifierOfInputMask(Classifier):
    """A classifier that makes its mask the other way round of the usual one (XLNet), which it is given ready.

    It would subtract whole numbers from 1.0, for which torch's exporter has no operator.
    """

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Logits (batch, classes)."""
        given = dict(zip(self.inputs, tensors, strict=True))
        mask = (given.pop(USUAL_MASK) == 0).to(torch.float32)
        return self.reduce(self.model(**given, **{INPUT_MASK: mask}), given)


class Writer(Sequential):
    """An encoder and a decoder reduced to the logits of the tokens that follow (batch, sequence, vocabulary)."""

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Logits (batch, sequence of the decoder, vocabulary)."""
        given = dict(zip(self.inputs, tensors, strict=True))
        return self.reduce(self.model(**given, use_cache=False), given)


class LanguageModel(Sequential):
    """A causal language model reduced to its logits (batch, sequence, vocabulary), without a cache: for training."""

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Logits (batch, sequence, vocabulary)."""
        given = dict(zip(self.inputs, tensors, strict=True))
        return self.reduce(self.model(**given, use_cache=False), given)


def wrap(model: torch.nn.Module, path: Path, task: Task) -> tuple[torch.nn.Module, Interface]:
    """The module to export for a task, and the names of its inputs and output."""
    if TASKS[task].content in ("image", "video", "audio"):
        # Pixels, samples or a spectrogram, by the name that the model itself gives its first input.
        signals: tuple[str, ...] = (str(getattr(model, "main_input_name", "pixel_values")),)
        if getattr(model.config, "is_encoder_decoder", False):
            return Writer(model, (*signals, DECODER)).eval(), Interface((*signals, DECODER), "logits")
        kind = Sequential if TASKS[task].writes else Classifier
        return kind(model, signals).eval(), Interface(signals, "logits")
    inputs = _text_inputs(model, path)
    if task == "summarization":
        return Writer(model, (*inputs, DECODER)).eval(), Interface((*inputs, DECODER), "logits")
    if task in ("text-classification", "text-regression"):
        turned = USUAL_MASK in inputs and INPUT_MASK in inspect.signature(model.forward).parameters
        classifier = ClassifierOfInputMask if turned else Classifier
        return classifier(model, inputs).eval(), Interface(inputs, "logits")
    if task == "text-generation":
        return LanguageModel(model, inputs).eval(), Interface(inputs, "logits")
    embedder = Embedder(model, inputs, pooler(path)).eval()
    # Not "embedding": the exporter gives that name to the lookup of tokens, and a name must be unique in a graph.
    return embedder, Interface(inputs, "sentence_embedding")


def _text_inputs(model: torch.nn.Module, path: Path) -> tuple[str, ...]:
    """What both the tokenizer gives and the model takes."""
    tokenizer = load_tokenizer(path)
    accepted = inspect.signature(model.forward).parameters
    return tuple(name for name in TEXT_INPUTS if name in tokenizer.model_input_names and name in accepted)
