"""Transformers models whose modules are no longer those of their configuration, and how they are kept.

A torch artifact is a Transformers directory with `surgery.json` beside it, which says how the model that config.json
describes has to be changed before the weights fit. Widths are not listed: they are seen from the tensors themselves.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from compression_runner.formats.factors import factorized

SURGERY: Final = "surgery.json"
SCHEMA: Final = 1


@dataclass(frozen=True)
class Surgery:
    """What was changed: `modules` were replaced by others, and `attributes` of modules were set.

    `modules` has for each name {"kind": "factorized-linear" or "factorized-embedding", "rank": r}, or
    {"kind": "factorized-convolution", "kernels": [{"shape": ..., "axes": ...}, ...]}.
    """

    modules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def with_modules(self, modules: Mapping[str, Mapping[str, Any]]) -> "Surgery":
        """The same with more modules replaced."""
        return Surgery({**self.modules, **modules}, self.attributes)

    def with_attributes(self, attributes: Mapping[str, Mapping[str, Any]]) -> "Surgery":
        """The same with more attributes set."""
        merged = {name: {**self.attributes.get(name, {}), **values} for name, values in attributes.items()}
        return Surgery(self.modules, {**self.attributes, **merged})


def read(folder: Path) -> Surgery:
    """The surgery of a directory; none where there is no surgery.json."""
    place = folder / SURGERY
    if not place.is_file():
        return Surgery()
    content = json.loads(place.read_text())
    if content.get("schema") != SCHEMA:
        raise ValueError(f"{place} is not of schema {SCHEMA}")
    return Surgery(content["modules"], content["attributes"])


def write(surgery: Surgery, folder: Path) -> None:
    """Writes surgery.json."""
    content = {
        "schema": SCHEMA,
        "modules": {name: dict(change) for name, change in surgery.modules.items()},
        "attributes": {name: dict(values) for name, values in surgery.attributes.items()},
    }
    (folder / SURGERY).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def operate(model: nn.Module, surgery: Surgery, shapes: Mapping[str, torch.Size]) -> None:
    """Changes a model of the configuration into one that tensors of `shapes` (by name) fit."""
    for name, change in surgery.modules.items():
        replace(model, name, factorized(model.get_submodule(name), change))
    for name, module in model.named_modules():
        _resize(module, {key: shapes.get(f"{name}.{key}" if name else key) for key in dict(module.named_parameters())})
    for name, values in surgery.attributes.items():
        module = model.get_submodule(name)
        for attribute, value in values.items():
            if not isinstance(getattr(module, attribute, None), (int, float)):
                raise ValueError(f"{name} has no number {attribute} to set")
            setattr(module, attribute, value)


def replace(model: nn.Module, name: str, module: nn.Module) -> None:
    """Puts a module in the place of another."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def _resize(module: nn.Module, shapes: Mapping[str, torch.Size | None]) -> None:
    """Gives a layer's parameters the shapes of the tensors that will be loaded, and the numbers that go with them."""
    own = {name: shape for name, shape in shapes.items() if "." not in name and shape is not None}
    parameters = dict(module.named_parameters(recurse=False))
    if all(parameters[name].shape == shape for name, shape in own.items() if name in parameters):
        return
    for name, shape in own.items():
        if name in parameters:
            setattr(module, name, nn.Parameter(torch.zeros(shape), requires_grad=parameters[name].requires_grad))
    adjust(module)


def adjust(module: nn.Module) -> None:
    """Makes a layer's numbers (features, channels) those of its weight."""
    weight = getattr(module, "weight", None)
    if not isinstance(weight, torch.Tensor):
        return
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif isinstance(module, Conv1D):
        module.nx, module.nf = weight.shape
    elif isinstance(module, nn.modules.conv._ConvNd):
        outputs, inputs = (int(weight.shape[0]), int(weight.shape[1]))
        depthwise = module.groups == module.out_channels and inputs == 1
        module.groups = outputs if depthwise else module.groups
        module.out_channels, module.in_channels = outputs, inputs * module.groups
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        module.num_features = int(weight.shape[0])
        if module.running_mean is not None and len(module.running_mean) != len(weight):
            module.running_mean, module.running_var = torch.zeros(len(weight)), torch.ones(len(weight))
    elif isinstance(module, nn.LayerNorm):
        module.normalized_shape = tuple(weight.shape)
    elif isinstance(module, nn.Embedding):
        module.num_embeddings, module.embedding_dim = weight.shape
