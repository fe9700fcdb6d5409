"""Initialize a student from a larger model: fewer layers, and the heads, neurons and dimensions of largest norm.

Layers are evenly spaced, as in DistilBERT (Sanh et al. 2019, arXiv:1910.01108); widths follow the norms of weights.
"""

import copy
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from compression_runner.errors import BadRecipe
from compression_runner.formats.layer_names import HEAD_IN, HEAD_OUT, HEADS_OUT
from compression_runner.formats.linear import as_linear, as_stored
from compression_runner.formats.source.regular_shape import NAMES, encoder_decoder_error, missing_size_error
from compression_runner.formats.task_module import Interface
from compression_runner.training.model import Trainable
from compressionjob.methods.distill import Student

LAYER: Final = re.compile(r"^(.*\.)?(layers?|h|blocks?)\.(\d+)\.")
NEURON_OUT: Final = re.compile(
    r"\b(intermediate\.dense|gate_proj|up_proj|fc1|lin1|ffn\.lin1|mlp\.c_fc)\.(weight|bias)$"
)
NEURON_IN: Final = re.compile(r"(?<!attention\.)\b(output\.dense|down_proj|fc2|lin2|mlp\.c_proj)\.weight$")


@dataclass(frozen=True)
class TransformerShape:
    """The sizes of an encoder or decoder of equal layers."""

    layers: int
    hidden: int
    heads: int
    intermediate: int

    @property
    def head_width(self) -> int:
        """Dimensions of one attention head."""
        return self.hidden // self.heads


def derive(teacher: Trainable, requested: Student, field: str) -> Trainable:
    """Return a student of the wanted shape, initialized with weights of the teacher.

    Raises BadRecipe if the architecture has no such sizes, or the student would be larger than its teacher.
    """
    if teacher.changes is not None:
        problem = "an earlier stage changed the model, so its layers have no regular shape"
        raise BadRecipe("NoRegularShape", field, "student", problem, "derive the student in the first stage")
    before = shape_of(teacher.inner.config, field)
    _require_own_keys(teacher.inner.config, before, requested, field)
    after = _student_shape(before, requested, field)
    return _initialize(teacher, before, after, evenly_spaced_layers(before.layers, after.layers), field)


def keep_layers(model: Trainable, layers: list[int], field: str) -> Trainable:
    """Return the same model with these layers alone.

    Raises BadRecipe if the architecture does not consist of equal layers.
    """
    before = shape_of(model.inner.config, field)
    return _initialize(model, before, replace(before, layers=len(layers)), layers, field)


def _initialize(
    teacher: Trainable, before: TransformerShape, after: TransformerShape, layers: list[int], field: str
) -> Trainable:
    config: Any = copy.deepcopy(teacher.inner.config)
    for name, value in zip(NAMES, (after.layers, after.hidden, after.heads, after.intermediate), strict=True):
        setattr(config, name, value)
    if hasattr(config, "n_inner"):
        config.n_inner = after.intermediate
    for name, value in config.to_dict().items():
        # Settings per layer, such as kinds of attention.
        if "layer" in name and isinstance(value, list | tuple) and len(value) == before.layers:
            setattr(config, name, [value[index] for index in layers])
    _keep_stages(config, before, after)
    student = type(teacher.inner)(config)
    as_linear(teacher.inner)
    as_linear(student)
    if getattr(teacher.inner, "pooler", student) is None:
        student.pooler = None  # type: ignore[assignment]
    tensors = _student_tensors(teacher.inner.state_dict(), before, after, layers, student.state_dict())
    wrong = [
        name
        for name, tensor in student.state_dict().items()
        if name not in tensors or tensors[name].shape != tensor.shape
    ]
    if wrong:
        problem = f"the weights of {wrong[0]} do not fit this shape"
        raise BadRecipe(
            "UnsupportedModel", field, type(teacher.inner).__name__, problem, "keep the widths of the teacher"
        )
    student.load_state_dict(tensors)
    as_stored(teacher.inner)
    as_stored(student)
    module = copy.copy(teacher.module)
    module._modules = dict(teacher.module._modules)
    module.model = student
    interface = Interface(teacher.interface.inputs, teacher.interface.output)
    return Trainable(module, interface, teacher.task, None, stored=teacher.stored)


def _keep_stages(config: Any, before: TransformerShape, after: TransformerShape) -> None:
    """Limit the output stages in the configuration of a backbone to the remaining layers."""
    names = getattr(config, "stage_names", None)
    if names and len(names) == before.layers + 1:
        config.stage_names = names[: after.layers + 1]
        config.set_output_features_output_indices(config.stage_names[-1:], None)


def evenly_spaced_layers(count: int, requested: int) -> list[int]:
    """Return the indices of `requested` evenly spaced layers; two or more include the first and the last."""
    if requested == 1:
        return [count - 1]
    return [round(index * (count - 1) / (requested - 1)) for index in range(requested)]


def shape_of(config: Any, field: str) -> TransformerShape:
    """Return the sizes of a model. Raises BadRecipe if its configuration lacks one, or has it per layer."""
    if getattr(config, "is_encoder_decoder", False):
        raise encoder_decoder_error(config.model_type, field)
    if hasattr(config, "n_inner"):
        # GPT-2's configuration omits the width of its feed-forward blocks if it is the default.
        config = copy.copy(config)
        config.intermediate_size = config.n_inner or 4 * config.hidden_size
    missing = [name for name in NAMES if not isinstance(getattr(config, name, None), int)]
    if missing:
        raise missing_size_error(missing[0], config.model_type, field)
    return TransformerShape(*(int(getattr(config, name)) for name in NAMES))


def _require_own_keys(config: Any, before: TransformerShape, requested: Student, field: str) -> None:
    """Raise BadRecipe for fewer heads in a model with grouped-query attention."""
    shared = getattr(config, "num_key_value_heads", None) not in (None, before.heads)
    same = requested.hidden_size in (None, before.hidden) and requested.attention_heads in (None, before.heads)
    if shared and not same:
        problem = "its heads share keys and values (grouped-query attention), so single heads cannot be removed"
        remedy = "leave hiddenSize and attentionHeads out, and choose fewer layers or a smaller intermediateSize"
        raise BadRecipe("UnsupportedModel", field, config.model_type, problem, remedy)


def _student_shape(before: TransformerShape, requested: Student, field: str) -> TransformerShape:
    hidden = requested.hidden_size or before.hidden
    heads = requested.attention_heads or max(1, hidden // before.head_width)
    after = TransformerShape(
        layers=requested.layers or before.layers,
        hidden=hidden,
        heads=heads,
        intermediate=requested.intermediate_size or before.intermediate,
    )
    larger = [
        (name, getattr(after, name), getattr(before, name))
        for name in ("layers", "hidden", "heads", "intermediate")
        if getattr(after, name) > getattr(before, name)
    ]
    if larger:
        name, value, most = larger[0]
        raise BadRecipe("StudentTooLarge", field, value, f"its teacher has {most} ({name})", f"choose at most {most}")
    if after.heads * before.head_width != after.hidden:
        problem = f"{after.heads} heads of {before.head_width} dimensions make {after.heads * before.head_width}"
        remedy = f"choose hiddenSize {after.heads * before.head_width}, or leave attentionHeads out"
        raise BadRecipe("StudentShape", field, after.hidden, problem, remedy)
    return after


def _student_tensors(
    tensors: Mapping[str, torch.Tensor],
    before: TransformerShape,
    after: TransformerShape,
    chosen: list[int],
    requested: Collection[str],
) -> dict[str, torch.Tensor]:
    """Return the tensors of the teacher, cut to the shape of the student and named for its layers.

    Tensors that only the first layer of the teacher has, such as positions for all layers, go to the first layer of
    the student. Tensors that only the first layer lacks, such as a norm after that of the embeddings, are dropped from
    that layer.
    """
    layers = {old: new for new, old in enumerate(chosen)}
    hidden = _largest(_hidden_norms(tensors, before.hidden), after.hidden)
    kept: dict[str, torch.Tensor] = {}
    neurons = _neurons(tensors, before, after)
    heads = torch.arange(after.heads * before.head_width) if after.heads < before.heads else None
    for name, tensor in tensors.items():
        match = LAYER.search(name)
        index = int(match[3]) if match else None
        if index is not None and index not in layers:
            continue
        target = name if match is None else f"{match[1] or ''}{match[2]}.{layers[int(match[3])]}.{name[match.end() :]}"
        if target in requested:
            kept[target] = _cut(name, tensor, before, hidden, heads, neurons.get(index)).clone()
    for name in requested:
        if name not in kept and name in tensors:
            kept[name] = _cut(name, tensors[name], before, hidden, heads, None).clone()
    return kept


def _cut(
    name: str,
    tensor: torch.Tensor,
    before: TransformerShape,
    hidden: torch.Tensor,
    heads: torch.Tensor | None,
    neurons: torch.Tensor | None,
) -> torch.Tensor:
    """Return one tensor without the dimensions that the student lacks; its name determines the axes."""
    axes: dict[int, torch.Tensor] = {}
    if HEAD_OUT.search(name) and heads is not None:
        axes[0] = heads
    elif HEADS_OUT.search(name) and heads is not None:
        axes[0] = torch.cat([heads + part * before.hidden for part in range(3)])
    elif NEURON_OUT.search(name) and neurons is not None:
        axes[0] = neurons
    if HEAD_IN.search(name) and heads is not None:
        axes[1] = heads
    elif NEURON_IN.search(name) and neurons is not None:
        axes[1] = neurons
    for axis, size in enumerate(tensor.shape):
        if axis not in axes and size == before.hidden:
            axes[axis] = hidden
    for axis, chosen in axes.items():
        tensor = tensor.index_select(axis, chosen)
    return tensor


def _hidden_norms(tensors: Mapping[str, torch.Tensor], hidden: int) -> torch.Tensor:
    """Return the norm of each hidden dimension over all matrices that write to the hidden states."""
    total = torch.zeros(hidden)
    for name, tensor in tensors.items():
        if tensor.dim() != 2 or not tensor.is_floating_point():
            continue
        if "embed" in name and tensor.shape[1] == hidden:
            # Scaled to one row, so that the size of the vocabulary has no effect.
            total += tensor.square().mean(0) * hidden
        elif (HEAD_IN.search(name) or NEURON_IN.search(name)) and tensor.shape[0] == hidden:
            total += tensor.square().sum(1)
    return total


def _neurons(
    tensors: Mapping[str, torch.Tensor], before: TransformerShape, after: TransformerShape
) -> dict[int | None, torch.Tensor]:
    """Return layer -> the feed-forward neurons with the largest product of input norm and output norm."""
    ins: dict[int, torch.Tensor] = {}
    outs: dict[int, torch.Tensor] = {}
    for name, tensor in tensors.items():
        match = LAYER.search(name)
        if not match or tensor.dim() != 2:
            continue
        index = int(match[3])
        if NEURON_OUT.search(name) and tensor.shape[0] == before.intermediate:
            ins[index] = ins.get(index, torch.ones(before.intermediate)) * tensor.norm(dim=1)
        elif NEURON_IN.search(name) and tensor.shape[1] == before.intermediate:
            outs[index] = tensor.norm(dim=0)
    return {
        index: _largest(norm * outs.get(index, torch.ones_like(norm)), after.intermediate)
        for index, norm in ins.items()
    }


def _largest(norms: torch.Tensor, count: int) -> torch.Tensor:
    """Return the sorted indices of the largest norms; ties go to the first."""
    return torch.argsort(norms, descending=True, stable=True)[:count].sort().values
