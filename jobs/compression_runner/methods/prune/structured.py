"""Structured pruning: remove whole channels, neurons, attention heads and layers, so that the model gets faster.

The dependency graph of torch-pruning groups dependent structures (Fang et al. 2023, DepGraph, arXiv:2301.12900). Groups
are ranked by the norm of their weights; layers by block influence, the change of hidden states in a layer (Men et al.
2024, ShortGPT, arXiv:2403.03853).
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch_pruning
from torch import nn

from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, cause
from compression_runner.formats import surgery
from compression_runner.formats.layer_names import HEAD_IN, HEAD_OUT, JOINT, PROJECTIONS
from compression_runner.formats.source.regular_shape import encoder_decoder_error
from compression_runner.methods.prune.plan_check import no_convolutions, no_feed_forward, no_separate_heads
from compression_runner.training.batches import Batch
from compression_runner.training.losses import MissingStates, states_of
from compression_runner.training.model import Trainable
from compression_runner.training.student_initialization import keep_layers, shape_of

ROUND_TO: Final = 8
"""Channels and neurons are kept in multiples of this if there are enough: kernels work on whole vectors."""
HEADS: Final = ("num_attention_heads", "num_heads", "n_head", "n_heads")
"""Attributes of attention layers for the number of heads."""
HEAD_WIDTH: Final = "head_dim"
"""Attribute of attention layers for the width of a head."""
ATTENTION: Final = re.compile(r"attn|attention", re.IGNORECASE)


def prune_channels(model: Trainable, fraction: float, example: Batch, *, scope_global: bool, field: str) -> None:
    """Remove a fraction of the channels of every convolution, or of all together, with their dependents.

    Raises BadRecipe for a model without convolutions.
    """
    convolutions = [module for module in model.module.modules() if isinstance(module, nn.Conv2d | nn.Conv1d)]
    if not convolutions:
        raise no_convolutions(field)
    # The output of the model keeps its width: skip the last linear layer.
    last = [module for module in model.module.modules() if isinstance(module, nn.Linear)][-1:]
    with _traced(model, field, "channels"):
        pruner = torch_pruning.pruner.BasePruner(
            model.module,
            example.inputs,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=fraction,
            global_pruning=scope_global,
            # With a global ranking, no layer may be pruned entirely.
            max_pruning_ratio=min(1.0, fraction + (1.0 - fraction) * 0.75),
            ignored_layers=last,
            round_to=ROUND_TO if min(module.out_channels for module in convolutions) >= 2 * ROUND_TO else None,
        )
        pruner.step()


def prune_neurons(model: Trainable, fraction: float, example: Batch, field: str) -> None:
    """Remove a fraction of the hidden neurons of every feed-forward block.

    Raises BadRecipe for a model without such blocks.
    """
    with _traced(model, field, "neurons"):
        graph = torch_pruning.DependencyGraph().build_dependency(model.module, example.inputs)
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    done: set[nn.Module | nn.Parameter] = set()
    for name, module in list(model.module.named_modules()):
        if not isinstance(module, nn.Linear) or module in done or _is_attention(name):
            continue
        if module not in graph.module2node:  # outputs do not depend on it, such as the pooler for embeddings
            continue
        prune = torch_pruning.prune_linear_out_channels
        with _traced(model, field, "neurons"):
            group = graph.get_pruning_group(module, prune, idxs=list(range(module.out_features)))
        members = {item.dep.target.module for item in group}
        if not _is_hidden(members):
            continue
        with _traced(model, field, "neurons"), torch.no_grad():
            ranked = torch.argsort(importance(group), stable=True)
            removed = sorted(ranked[: _removal_count(module.out_features, fraction)].tolist())
            if removed:
                graph.get_pruning_group(module, prune, idxs=removed).prune()
        done |= members
    if not done:
        raise no_feed_forward(field)


def prune_heads(model: Trainable, fraction: float, field: str) -> dict[str, dict[str, int]]:
    """Remove a fraction of the attention heads of every layer; return the attributes that change with them.

    Raises BadRecipe for attention layers without separate heads.
    """
    attributes: dict[str, dict[str, int]] = {}
    for name, attention in _attentions(model.inner):
        parts, output_layer = _projections(attention), _output_layer(model.inner, name)
        heads = _heads(attention, parts)
        if len(parts) != 3 or output_layer is None or heads < 2 or len({part.rows for part in parts}) != 1:
            continue
        width = parts[0].rows // heads
        removed = _weakest_heads(parts, output_layer, heads, width, max(1, min(heads - 1, round(heads * fraction))))
        kept = torch.tensor(
            [row for head in range(heads) if head not in removed for row in range(head * width, (head + 1) * width)]
        )
        for layer in {id(part.layer): part.layer for part in parts}.values():
            _keep_rows(layer, torch.cat([part.first + kept for part in parts if part.layer is layer]))
            surgery.adjust(layer)
        output_layer.weight = nn.Parameter(output_layer.weight.detach()[:, kept].clone())
        surgery.adjust(output_layer)
        attributes[name] = _renumber(attention, heads - len(removed), width)
    if not attributes:
        raise no_separate_heads(field, type(model.inner).__name__)
    return attributes


def prune_layers(
    model: Trainable, fraction: float, batches: Sequence[Batch], field: str
) -> tuple[Trainable, list[int]]:
    """Return the model without the layers of least influence, and the indices of the removed layers.

    Raises BadRecipe if the model returns no hidden states, or does not consist of equal layers.
    """
    count = shape_of(model.inner.config, field).layers
    if count < 2:
        problem = "its configuration has no num_hidden_layers of two or more"
        raise BadRecipe("UnsupportedModel", field, type(model.inner).__name__, problem, "use structure channels")
    try:
        influence = _influence(model, batches, count)
    except MissingStates as error:
        raise encoder_decoder_error(type(model.inner).__name__, field) from error
    removed = sorted(torch.argsort(influence, stable=True)[: max(1, min(count - 1, round(count * fraction)))].tolist())
    kept = [index for index in range(count) if index not in removed]
    return keep_layers(model, kept, field), removed


def _is_hidden(members: set[nn.Module | nn.Parameter]) -> bool:
    """Return whether a group lies between linear layers only: widths at norms or embeddings must not change."""
    # A parameter without a layer (an embedding of positions) is a member by itself.
    with_weights = [
        member for member in members if not isinstance(member, nn.Module) or [*member.parameters(recurse=False)]
    ]
    return len(with_weights) >= 2 and all(isinstance(member, nn.Linear) for member in with_weights)


def _removal_count(count: int, fraction: float) -> int:
    """Return how many to remove so that the rest is a multiple of ROUND_TO, unless the rest is smaller than that."""
    kept = max(1, round(count * (1.0 - fraction)))
    if kept >= ROUND_TO:
        kept = round(kept / ROUND_TO) * ROUND_TO
    return count - min(kept, count)


def _is_attention(name: str) -> bool:
    """Return whether a linear layer belongs to attention, whose widths depend on heads."""
    return bool(HEAD_OUT.search(f"{name}.weight") or any(ATTENTION.search(part) for part in name.split(".")[:-1]))


@contextmanager
def _traced(model: Trainable, field: str, structure: str) -> Iterator[None]:
    """Disable the key-value cache while torch-pruning traces dependencies.

    Raises BadRecipe if torch-pruning cannot follow the model.
    """
    config: Any = model.inner.config
    cached = getattr(config, "use_cache", None)
    if cached is not None:
        config.use_cache = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except LIBRARY_ERRORS as error:
        kind, problem = type(model.inner).__name__, f"torch-pruning cannot follow its layers: {cause(error)}"
        remedy = "use method magnitude, or another structure"
        raise BadRecipe("UnsupportedModel", f"{field}.structure", kind, f"{structure}: {problem}", remedy) from error
    finally:
        if cached is not None:
            config.use_cache = cached


@dataclass(frozen=True)
class _Projection:
    """A query, key or value: `rows` rows of a linear layer, from row `first`."""

    layer: nn.Linear
    first: int
    rows: int


def _projections(attention: nn.Module) -> list[_Projection]:
    joint = getattr(attention, JOINT, None)
    if isinstance(joint, nn.Linear):
        rows = joint.in_features
        return [_Projection(joint, part * rows, rows) for part in range(3)] if joint.out_features == 3 * rows else []
    layers = [getattr(attention, child) for kind in PROJECTIONS for child in kind if hasattr(attention, child)]
    return [_Projection(layer, 0, layer.out_features) for layer in layers]


def _heads(attention: nn.Module, parts: Sequence[_Projection]) -> int:
    """Return the number of heads of an attention layer, by their number or width; 0 if it has neither."""
    number = next((int(getattr(attention, each)) for each in HEADS if getattr(attention, each, 0)), 0)
    width = getattr(attention, HEAD_WIDTH, 0)
    return number or (parts[0].rows // width if parts and isinstance(width, int) and width else 0)


def _attentions(model: nn.Module) -> list[tuple[str, nn.Module]]:
    projections = (*(query for query, _, _ in PROJECTIONS), JOINT)
    return [
        (name, module) for name, module in model.named_modules() if any(hasattr(module, child) for child in projections)
    ]


def _output_layer(model: nn.Module, name: str) -> nn.Linear | None:
    """Return the linear layer after the concatenated heads of an attention module."""
    scope = name.removesuffix(".self").removesuffix(".attention")
    for child, module in model.named_modules():
        if child.startswith(scope) and isinstance(module, nn.Linear) and HEAD_IN.search(f"{child}.weight"):
            return module
    return None


def _weakest_heads(
    parts: Sequence[_Projection], output_layer: nn.Linear, heads: int, width: int, count: int
) -> set[int]:
    total = output_layer.weight.detach().square().sum(0)
    for part in parts:
        total = total + part.layer.weight.detach()[part.first : part.first + part.rows].square().sum(1)
    ranked = torch.argsort(total.reshape(heads, width).sum(1), stable=True)
    return {int(head) for head in ranked[:count]}


def _keep_rows(linear: nn.Linear, rows: torch.Tensor) -> None:
    linear.weight = nn.Parameter(linear.weight.detach()[rows].clone())
    if linear.bias is not None:
        linear.bias = nn.Parameter(linear.bias.detach()[rows].clone())


def _renumber(attention: nn.Module, heads: int, width: int) -> dict[str, int]:
    changed = dict.fromkeys(HEADS, heads) | {"all_head_size": heads * width, "split_size": heads * width}
    present = {name: value for name, value in changed.items() if isinstance(getattr(attention, name, None), int)}
    for name, value in present.items():
        setattr(attention, name, value)
    return present


def _influence(model: Trainable, batches: Sequence[Batch], count: int) -> torch.Tensor:
    """Return, for each layer, one minus the mean cosine of its input and output over all tokens, shape (layers,)."""
    total, tokens = torch.zeros(count), 0
    with torch.no_grad():
        for batch in batches:
            states = states_of(model.outputs(batch.inputs, output_hidden_states=True)[1])
            for index in range(count):
                cosines = nn.functional.cosine_similarity(states[index], states[index + 1], dim=-1)
                total[index] += float((1.0 - cosines).sum())
            tokens += states[0].shape[0] * states[0].shape[1]
    return total / max(1, tokens)
