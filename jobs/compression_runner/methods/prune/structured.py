"""Structured pruning: whole channels, neurons, attention heads and layers go, so that the model gets faster.

What hangs together is found by torch-pruning's dependency graph (Fang et al. 2023, DepGraph, arXiv:2301.12900). Groups
are ranked by the norm of their weights; layers by how little they change what passes through them (Men et al. 2024,
ShortGPT's block influence, arXiv:2403.03853).
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
from compression_runner.formats.source.regular_shape import two_stacks
from compression_runner.methods.prune.plan_check import no_convolutions, no_feed_forward, no_separate_heads
from compression_runner.training.batches import Batch
from compression_runner.training.losses import NoStates, states_of
from compression_runner.training.model import Trainable
from compression_runner.training.narrowing import keep_layers, shape_of

ROUND_TO: Final = 8
"""Channels and neurons are left in multiples of this where there are enough: kernels work on whole vectors."""
HEADS: Final = ("num_attention_heads", "num_heads", "n_head", "n_heads")
"""How attention layers call their number of heads."""
HEAD_WIDTH: Final = "head_dim"
"""How attention layers call the width of a head."""
ATTENTION: Final = re.compile(r"attn|attention", re.IGNORECASE)


def prune_channels(model: Trainable, share: float, example: Batch, *, scope_global: bool, field: str) -> None:
    """Removes a share of the channels of every convolution, or of all of them together, and what depends on them.

    Raises BadRecipe for a model without convolutions.
    """
    convolutions = [module for module in model.module.modules() if isinstance(module, nn.Conv2d | nn.Conv1d)]
    if not convolutions:
        raise no_convolutions(field)
    # What the model answers keeps its width: the last linear layer.
    last = [module for module in model.module.modules() if isinstance(module, nn.Linear)][-1:]
    with _traced(model, field, "channels"):
        pruner = torch_pruning.pruner.BasePruner(
            model.module,
            example.inputs,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=share,
            global_pruning=scope_global,
            # With one ranking for all, nothing may be pruned away entirely.
            max_pruning_ratio=min(1.0, share + (1.0 - share) * 0.75),
            ignored_layers=last,
            round_to=ROUND_TO if min(module.out_channels for module in convolutions) >= 2 * ROUND_TO else None,
        )
        pruner.step()


def prune_neurons(model: Trainable, share: float, example: Batch, field: str) -> None:
    """Removes a share of the hidden neurons of every feed-forward block.

    Raises BadRecipe for a model that has none.
    """
    with _traced(model, field, "neurons"):
        graph = torch_pruning.DependencyGraph().build_dependency(model.module, example.inputs)
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    done: set[nn.Module | nn.Parameter] = set()
    for name, module in list(model.module.named_modules()):
        if not isinstance(module, nn.Linear) or module in done or _attends(name):
            continue
        if module not in graph.module2node:  # no answer goes through it: the pooler, of embeddings
            continue
        prune = torch_pruning.prune_linear_out_channels
        with _traced(model, field, "neurons"):
            group = graph.get_pruning_group(module, prune, idxs=list(range(module.out_features)))
        members = {item.dep.target.module for item in group}
        if not _is_hidden(members):
            continue
        with _traced(model, field, "neurons"), torch.no_grad():
            ranked = torch.argsort(importance(group), stable=True)
            going = sorted(ranked[: _rounded(module.out_features, share)].tolist())
            if going:
                graph.get_pruning_group(module, prune, idxs=going).prune()
        done |= members
    if not done:
        raise no_feed_forward(field)


def prune_heads(model: Trainable, share: float, field: str) -> dict[str, dict[str, int]]:
    """Removes a share of the attention heads of every layer; returns the attributes that change with them.

    Raises BadRecipe where heads cannot be told apart.
    """
    attributes: dict[str, dict[str, int]] = {}
    for name, attention in _attentions(model.inner):
        parts, after = _parts(attention), _after(model.inner, name)
        heads = _heads(attention, parts)
        if len(parts) != 3 or after is None or heads < 2 or len({part.rows for part in parts}) != 1:
            continue
        width = parts[0].rows // heads
        gone = _weakest_heads(parts, after, heads, width, max(1, min(heads - 1, round(heads * share))))
        kept = torch.tensor(
            [row for head in range(heads) if head not in gone for row in range(head * width, (head + 1) * width)]
        )
        for layer in {id(part.layer): part.layer for part in parts}.values():
            _keep_rows(layer, torch.cat([part.first + kept for part in parts if part.layer is layer]))
            surgery.adjust(layer)
        after.weight = nn.Parameter(after.weight.detach()[:, kept].clone())
        surgery.adjust(after)
        attributes[name] = _renumber(attention, heads - len(gone), width)
    if not attributes:
        raise no_separate_heads(field, type(model.inner).__name__)
    return attributes


def prune_layers(model: Trainable, share: float, batches: Sequence[Batch], field: str) -> tuple[Trainable, list[int]]:
    """The model without the layers that change least what passes through them, and the numbers of those that went.

    Raises BadRecipe where the model tells no hidden states, or is not of equal layers.
    """
    count = shape_of(model.inner.config, field).layers
    if count < 2:
        problem = "its configuration has no num_hidden_layers of two or more"
        raise BadRecipe("UnsupportedModel", field, type(model.inner).__name__, problem, "use structure channels")
    try:
        influence = _influence(model, batches, count)
    except NoStates as error:
        raise two_stacks(type(model.inner).__name__, field) from error
    going = sorted(torch.argsort(influence, stable=True)[: max(1, min(count - 1, round(count * share)))].tolist())
    kept = [index for index in range(count) if index not in going]
    return keep_layers(model, kept, field), going


def _is_hidden(members: set[nn.Module | nn.Parameter]) -> bool:
    """Whether a group lies between linear layers alone: what reaches norms or embeddings keeps its width."""
    # A parameter that belongs to no layer (an embedding of places) is a member by itself.
    with_weights = [
        member for member in members if not isinstance(member, nn.Module) or [*member.parameters(recurse=False)]
    ]
    return len(with_weights) >= 2 and all(isinstance(member, nn.Linear) for member in with_weights)


def _rounded(count: int, share: float) -> int:
    """How many go, so that what stays is a multiple of ROUND_TO where that leaves something."""
    stays = max(1, round(count * (1.0 - share)))
    if stays >= ROUND_TO:
        stays = round(stays / ROUND_TO) * ROUND_TO
    return count - min(stays, count)


def _attends(name: str) -> bool:
    """Whether a linear layer belongs to attention, whose widths are those of heads."""
    return bool(HEAD_OUT.search(f"{name}.weight") or any(ATTENTION.search(part) for part in name.split(".")[:-1]))


@contextmanager
def _traced(model: Trainable, field: str, structure: str) -> Iterator[None]:
    """Let torch-pruning see what depends on what: without a cache of keys and values, which no layer writes.

    Raises BadRecipe where it cannot follow the model.
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
class _Part:
    """Query, key or value: `rows` rows of a linear layer, from `first` on."""

    layer: nn.Linear
    first: int
    rows: int


def _parts(attention: nn.Module) -> list[_Part]:
    joint = getattr(attention, JOINT, None)
    if isinstance(joint, nn.Linear):
        rows = joint.in_features
        return [_Part(joint, part * rows, rows) for part in range(3)] if joint.out_features == 3 * rows else []
    layers = [getattr(attention, child) for kind in PROJECTIONS for child in kind if hasattr(attention, child)]
    return [_Part(layer, 0, layer.out_features) for layer in layers]


def _heads(attention: nn.Module, parts: Sequence[_Part]) -> int:
    """How many heads an attention layer has, by their number or by their width; 0 where it has neither."""
    number = next((int(getattr(attention, each)) for each in HEADS if getattr(attention, each, 0)), 0)
    width = getattr(attention, HEAD_WIDTH, 0)
    return number or (parts[0].rows // width if parts and isinstance(width, int) and width else 0)


def _attentions(model: nn.Module) -> list[tuple[str, nn.Module]]:
    wanted = (*(query for query, _, _ in PROJECTIONS), JOINT)
    return [(name, module) for name, module in model.named_modules() if any(hasattr(module, child) for child in wanted)]


def _after(model: nn.Module, name: str) -> nn.Linear | None:
    """The linear layer that takes what the heads of an attention module give together."""
    scope = name.removesuffix(".self").removesuffix(".attention")
    for child, module in model.named_modules():
        if child.startswith(scope) and isinstance(module, nn.Linear) and HEAD_IN.search(f"{child}.weight"):
            return module
    return None


def _weakest_heads(parts: Sequence[_Part], after: nn.Linear, heads: int, width: int, count: int) -> set[int]:
    total = after.weight.detach().square().sum(0)
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
    """For each layer one minus the mean cosine of what goes in and out, over all tokens, shape (layers,)."""
    total, seen = torch.zeros(count), 0
    with torch.no_grad():
        for batch in batches:
            states = states_of(model.outputs(batch.inputs, output_hidden_states=True)[1])
            for index in range(count):
                cosines = nn.functional.cosine_similarity(states[index], states[index + 1], dim=-1)
                total[index] += float((1.0 - cosines).sum())
            seen += states[0].shape[0] * states[0].shape[1]
    return total / max(1, seen)
