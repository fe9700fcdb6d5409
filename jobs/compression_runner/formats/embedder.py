"""A torch module that computes the embeddings of sentence-transformers from token states."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from compression_runner.dataset.sentence_settings import files_of
from compression_runner.dataset.texts import load_tokenizer
from compression_runner.errors import InvalidInput
from compression_runner.formats.source.sentence_modules import (
    FIELD,
    WEIGHTS,
    Dense,
    LayerNorm,
    Normalize,
    SentencePooling,
    read_pooling,
)


class Embedder(torch.nn.Module):
    """Token states (batch, sequence, hidden) pooled over the attention mask to embeddings (batch, width)."""

    def __init__(self, model: torch.nn.Module, inputs: tuple[str, ...], pooling: "Pooler") -> None:
        super().__init__()
        self.model, self.inputs, self.pooling = model, inputs, pooling

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Return embeddings (batch, width)."""
        named_inputs = dict(zip(self.inputs, tensors, strict=True))
        return self.reduce(self.model(**named_inputs), named_inputs)

    def reduce(self, outputs: Any, named_inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return embeddings from the outputs of the inner model."""
        mask = named_inputs.get("attention_mask", torch.ones_like(named_inputs["input_ids"]))
        result: torch.Tensor = self.pooling(outputs.last_hidden_state, mask)
        return result


class Pooler(torch.nn.Module):
    """Pool each text to one vector: concatenate the modes, then apply each step. Its weights are never compressed.

    The first `prompt` tokens of each text are skipped. With `left`, texts may be padded in front.
    """

    def __init__(self, pooling: SentencePooling, steps: list[torch.nn.Module], *, prompt: int, left: bool) -> None:
        super().__init__()
        self.modes, self.steps, self.prompt, self.left = pooling.modes, torch.nn.ModuleList(steps), prompt, left

    def forward(self, states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return embeddings (batch, width) of states (batch, sequence, hidden) and their mask (batch, sequence)."""
        ranks = attention_mask.cumsum(1)  # of each token in its text, from 1
        mask = attention_mask * (ranks > self.prompt) if self.prompt else attention_mask
        pooled = [self._pooled(mode, states, mask, ranks) for mode in self.modes]
        result = pooled[0] if len(pooled) == 1 else torch.cat(pooled, 1)
        for step in self.steps:
            result = step(result)
        return result

    def _pooled(self, mode: str, states: torch.Tensor, mask: torch.Tensor, ranks: torch.Tensor) -> torch.Tensor:
        weights = mask.unsqueeze(-1).to(states.dtype)
        if mode == "cls":
            first = mask.to(torch.int64).argmax(1)
            return _token(states, first) if self.left or self.prompt else states[:, 0]
        if mode == "lasttoken":
            positions = torch.arange(states.shape[1], device=states.device)
            return _token(states, (positions * mask).argmax(1))
        if mode == "max":
            return states.masked_fill(weights == 0, torch.finfo(states.dtype).min).amax(1)
        if mode == "weightedmean":
            weights = weights * ranks.unsqueeze(-1).to(states.dtype)
        count = weights.sum(1).clamp(min=1e-9)
        return (states * weights).sum(1) / (count.sqrt() if mode == "mean_sqrt_len_tokens" else count)


def _token(states: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Return the state of one token of each text, (batch, hidden), from states (batch, sequence, hidden)."""
    return states.gather(1, positions.view(-1, 1, 1).expand(-1, 1, states.shape[2])).squeeze(1)


class _Normalize(torch.nn.Module):
    """Scale vectors to length 1."""

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(vectors, dim=1)


class _Dense(torch.nn.Module):
    """A linear layer with an activation. Its weights are buffers, so that methods do not change them."""

    def __init__(self, step: Dense, weights: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        shape = (step.outputs, step.inputs)
        self.activation: torch.nn.Module = getattr(torch.nn, step.activation)()
        self.adds = step.residual
        self.register_buffer("weight", _require_shape(weights, "linear.weight", shape))
        self.register_buffer("bias", _require_shape(weights, "linear.bias", shape[:1]) if step.bias else None)
        projected = step.residual and step.inputs != step.outputs
        self.register_buffer("residual", _require_shape(weights, "residual.weight", shape) if projected else None)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.activation(torch.nn.functional.linear(vectors, self.weight, self.bias))  # type: ignore[arg-type]
        if self.residual is not None:
            vectors = torch.nn.functional.linear(vectors, self.residual)  # type: ignore[arg-type]
        return result + vectors if self.adds else result


class _Norm(torch.nn.Module):
    """A layer normalization with buffers as weights, as in `_Dense`."""

    def __init__(self, step: LayerNorm, weights: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.width = step.width
        self.register_buffer("weight", _require_shape(weights, "norm.weight", (step.width,)))
        self.register_buffer("bias", _require_shape(weights, "norm.bias", (step.width,)))

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.layer_norm(vectors, (self.width,), self.weight, self.bias)  # type: ignore[arg-type]


def _require_shape(weights: Mapping[str, torch.Tensor], name: str, shape: tuple[int, ...]) -> torch.Tensor:
    if name not in weights or tuple(weights[name].shape) != shape:
        raise ValueError(f"{name} is missing or not of shape {shape}")
    return weights[name].float()


def pooler(path: Path) -> Pooler:
    """Return the pooling of a model's folder, ready for inference.

    Raises BadRecipe and InvalidInput as `read_pooling` does, and InvalidInput for weights that do not fit it.
    """
    pooling = read_pooling(files_of(path))
    steps = [_module(path, step) for step in pooling.steps]
    tokenizer = load_tokenizer(path)
    left = getattr(tokenizer, "padding_side", "right") == "left"
    prompt = _prompt_length(tokenizer, pooling.prompt) if pooling.prompt else 0
    return Pooler(pooling, steps, prompt=prompt, left=left).eval()


def _prompt_length(tokenizer: Any, prompt: str) -> int:
    """Return the number of prompt tokens of each text: those of the prompt without a special token at its end."""
    tokens = tokenizer(prompt)["input_ids"]
    return len(tokens) - int(bool(tokens) and tokens[-1] in tokenizer.all_special_ids)


def _module(path: Path, step: Dense | LayerNorm | Normalize) -> torch.nn.Module:
    if isinstance(step, Normalize):
        return _Normalize()
    weights = load_file(path / step.folder / WEIGHTS)
    try:
        return _Dense(step, weights) if isinstance(step, Dense) else _Norm(step, weights)
    except ValueError as error:
        problem = f"{WEIGHTS} does not fit config.json in this folder: {error}"
        raise InvalidInput("InvalidModel", FIELD, step.folder, problem, "save the model again") from error
