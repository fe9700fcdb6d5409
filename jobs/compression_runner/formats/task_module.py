"""Small modules around a Transformers model: tensors in by position, one tensor out, as an ONNX graph has them."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoTokenizer

from compression_runner.dataset.writing import DECODER
from compression_runner.errors import BadRecipe
from compressionjob.tasks import TASKS, Task

POOLINGS: Final = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
}
TEXT_INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")


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


class Embedder(torch.nn.Module):
    """Token states (batch, sequence, hidden) pooled over the attention mask to embeddings (batch, hidden)."""

    def __init__(self, model: torch.nn.Module, inputs: tuple[str, ...], pooling: str, *, normalize: bool) -> None:
        super().__init__()
        self.model, self.inputs, self.pooling, self.normalize = model, inputs, pooling, normalize

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Embeddings (batch, hidden), of length 1 where the model normalises."""
        given = dict(zip(self.inputs, tensors, strict=True))
        return self.reduce(self.model(**given), given)

    def reduce(self, outputs: Any, given: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Embeddings from the inner model's outputs."""
        states = outputs.last_hidden_state
        mask = given["attention_mask"].unsqueeze(-1).to(states.dtype)
        if self.pooling == "cls":
            pooled = states[:, 0]
        elif self.pooling == "max":
            pooled = states.masked_fill(mask == 0, torch.finfo(states.dtype).min).amax(1)
        else:
            pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        result: torch.Tensor = torch.nn.functional.normalize(pooled, dim=1) if self.normalize else pooled
        return result


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
        """Logits from the inner model's outputs."""
        logits: torch.Tensor = outputs.logits
        return logits


class Writer(Classifier):
    """An encoder and a decoder reduced to the logits of the tokens that follow (batch, sequence, vocabulary)."""

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Logits (batch, sequence of the decoder, vocabulary)."""
        given = dict(zip(self.inputs, tensors, strict=True))
        return self.reduce(self.model(**given, use_cache=False), given)


class LanguageModel(Classifier):
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
        return Classifier(model, signals).eval(), Interface(signals, "logits")
    inputs = _text_inputs(model, path)
    if task == "summarization":
        return Writer(model, (*inputs, DECODER)).eval(), Interface((*inputs, DECODER), "logits")
    if task in ("text-classification", "text-regression"):
        return Classifier(model, inputs).eval(), Interface(inputs, "logits")
    if task == "text-generation":
        return LanguageModel(model, inputs).eval(), Interface(inputs, "logits")
    pooling, normalize = _pooling(path)
    embedder = Embedder(model, inputs, pooling, normalize=normalize).eval()
    # Not "embedding": the exporter gives that name to the lookup of tokens, and a name must be unique in a graph.
    return embedder, Interface(inputs, "sentence_embedding")


def _text_inputs(model: torch.nn.Module, path: Path) -> tuple[str, ...]:
    """What both the tokenizer gives and the model takes."""
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    accepted = inspect.signature(model.forward).parameters
    return tuple(name for name in TEXT_INPUTS if name in tokenizer.model_input_names and name in accepted)


def _pooling(path: Path) -> tuple[str, bool]:
    """Pooling and normalisation as sentence-transformers' modules.json has them; mean and none where there is none."""
    modules = path / "modules.json"
    if not modules.is_file():
        return "mean", False
    kinds = [
        (str(module["type"]).rsplit(".", 1)[-1], str(module["path"])) for module in json.loads(modules.read_text())
    ]
    unknown = [kind for kind, _ in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    if unknown:
        problem, remedy = f"the module {unknown[0]} cannot be exported", "export the model to ONNX yourself"
        raise BadRecipe("UnsupportedModel", "spec.model.source", "modules.json", problem, remedy)
    folder = next((folder for kind, folder in kinds if kind == "Pooling"), None)
    config: dict[str, Any] = json.loads((path / folder / "config.json").read_text()) if folder else {}
    wanted = [name for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    chosen = wanted or ["pooling_mode_mean_tokens"]
    if len(chosen) > 1 or chosen[0] not in POOLINGS:
        problem, remedy = f"the pooling {', '.join(chosen)} cannot be exported", "use cls, mean or max pooling"
        raise BadRecipe("UnsupportedModel", "spec.model.source", "1_Pooling/config.json", problem, remedy)
    return POOLINGS[chosen[0]], any(kind == "Normalize" for kind, _ in kinds)
