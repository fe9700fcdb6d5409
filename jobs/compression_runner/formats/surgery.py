"""Changes of a Transformers model that its configuration cannot express, stored as surgery.json.

A torch artifact is a Transformers directory with `surgery.json`. It lists the changes to the model of config.json
before its weights can be loaded. It lists no widths: they follow from the tensors.
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
    """Changes of a model: replaced `modules`, and values of `attributes` of modules.

    `modules` maps a name to {"kind": "factorized-linear" or "factorized-embedding", "rank": r}, or to
    {"kind": "factorized-convolution", "kernels": [{"shape": ..., "axes": ...}, ...]}.
    """

    modules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def with_modules(self, modules: Mapping[str, Mapping[str, Any]]) -> "Surgery":
        """Return these changes and more replaced modules."""
        return Surgery({**self.modules, **modules}, self.attributes)

    def with_attributes(self, attributes: Mapping[str, Mapping[str, Any]]) -> "Surgery":
        """Return these changes and more attributes."""
        merged = {name: {**self.attributes.get(name, {}), **values} for name, values in attributes.items()}
        return Surgery(self.modules, {**self.attributes, **merged})


def read(folder: Path) -> Surgery:
    """Read the surgery.json of a directory; return no changes without one."""
    file = folder / SURGERY
    if not file.is_file():
        return Surgery()
    content = json.loads(file.read_text())
    if content.get("schema") != SCHEMA:
        raise ValueError(f"{file} does not have schema {SCHEMA}")
    return Surgery(content["modules"], content["attributes"])


def write(surgery: Surgery, folder: Path) -> None:
    """Write surgery.json."""
    content = {
        "schema": SCHEMA,
        "modules": {name: dict(change) for name, change in surgery.modules.items()},
        "attributes": {name: dict(values) for name, values in surgery.attributes.items()},
    }
    (folder / SURGERY).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def apply(model: nn.Module, surgery: Surgery, shapes: Mapping[str, torch.Size]) -> None:
    """Apply changes to a model of the configuration, so that tensors of `shapes` (by name) fit it."""
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
    """Replace the module of this name."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def _resize(module: nn.Module, shapes: Mapping[str, torch.Size | None]) -> None:
    """Resize the parameters of a layer to these shapes, and adjust its attributes."""
    own = {name: shape for name, shape in shapes.items() if "." not in name and shape is not None}
    parameters = dict(module.named_parameters(recurse=False))
    if all(parameters[name].shape == shape for name, shape in own.items() if name in parameters):
        return
    for name, shape in own.items():
        if name in parameters:
            setattr(module, name, nn.Parameter(torch.zeros(shape), requires_grad=parameters[name].requires_grad))
    adjust(module)


def adjust(module: nn.Module) -> None:
    """Set the attributes of a layer (features, channels) from the shape of its weight."""
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
