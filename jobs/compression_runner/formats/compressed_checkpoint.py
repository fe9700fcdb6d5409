"""Checkpoints in the format compressed-tensors: linear layers as integer codes with scales.

In pack-quantized, a layer `NAME` has the tensors NAME.weight_packed (int32 words of codes), NAME.weight_scale (one
scale for each output and group of inputs) and NAME.weight_shape in place of NAME.weight. In int-quantized, NAME.weight
has INT8 codes, and NAME.weight_scale one scale for each output.
Source: https://github.com/vllm-project/compressed-tensors.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe
from compression_runner.formats.safetensors_files import save_shard, stored_type
from compression_runner.formats.transformers_model import skeleton
from compressionjob.spec import Task

PACKED: Final = "pack-quantized"
INT8: Final = "int-quantized"
WEIGHT: Final = ".weight"
CONFIG: Final = "config.json"
INDEX: Final = ".safetensors.index.json"
PER_CHANNEL: Final = -1
CONVOLUTIONS: Final = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
EXPERTS: Final = "experts"
"""Part of the names of parameters that hold all experts of a layer in one tensor."""


class StoredLinear(Protocol):
    """A linear layer as codes with `scales`, float32."""

    scales: NDArray[np.float32]

    def rescale(self, scales: NDArray[np.float32]) -> None:
        """Replace the scales of existing codes. Codes whose scale is 0 become zero, and their scale 1."""

    def tensors(self, name: str, kind: torch.dtype) -> dict[str, torch.Tensor]:
        """Return the tensors of the layer `name` in a checkpoint of type `kind`."""


@dataclass
class PackedLinear:
    """A linear layer with symmetric grids: `words` (outputs, words) int32, `scales` (outputs, groups) float32."""

    words: torch.Tensor
    scales: NDArray[np.float32]
    shape: tuple[int, int]
    """Outputs and inputs."""

    def rescale(self, scales: NDArray[np.float32]) -> None:
        """Replace the scales of existing codes. A group whose scale is 0 gets zero codes, and 1 as its scale."""
        bits = 32 * self.words.shape[1] // self.shape[1]
        zero = pack_codes(np.full((1, 32 // bits), 1 << (bits - 1), np.uint8), bits)
        underflows = torch.from_numpy(scales == 0).repeat_interleave(self.words.shape[1] // scales.shape[1], 1)
        self.words = torch.where(underflows, zero, self.words)
        self.scales = np.where(scales == 0, np.float32(1), scales)

    def tensors(self, name: str, kind: torch.dtype) -> dict[str, torch.Tensor]:
        """Return the tensors of the layer `name`, with scales of type `kind`."""
        return {
            f"{name}.weight_packed": self.words,
            f"{name}.weight_scale": torch.from_numpy(self.scales).to(kind).contiguous(),
            f"{name}.weight_shape": torch.tensor(self.shape, dtype=torch.int64),
        }


@dataclass
class Int8Linear:
    """A linear layer as INT8 `codes` (outputs, inputs) with `scales` (outputs, 1), which are stored as float32."""

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]

    def rescale(self, scales: NDArray[np.float32]) -> None:
        """Replace the scales of existing codes. An output whose scale is 0 gets zero codes, and 1 as its scale."""
        self.codes = np.where(scales == 0, np.int8(0), self.codes)
        self.scales = np.where(scales == 0, np.float32(1), scales)

    def tensors(self, name: str, kind: torch.dtype) -> dict[str, torch.Tensor]:
        """Return the tensors of the layer `name`."""
        scales = torch.from_numpy(self.scales).contiguous()
        return {f"{name}.weight": torch.from_numpy(self.codes), f"{name}.weight_scale": scales}


@dataclass(frozen=True)
class LinearLayers:
    """The linear layers of a language model: name -> (outputs, inputs), and the names of those that stay floats.

    `experts` are the names of tensors that hold several experts each.
    """

    shapes: Mapping[str, tuple[int, int]]
    ignored: tuple[str, ...]
    experts: tuple[str, ...]


def linear_layers(path: Path, task: Task) -> LinearLayers:
    """Return the linear layers of a Transformers directory; its output layer stays floats."""
    model = skeleton(path, task)
    output = model.get_output_embeddings()  # type: ignore[operator]
    linear = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    shapes = {name: (each.out_features, each.in_features) for name, each in linear.items() if each is not output}
    return LinearLayers(shapes, tuple(name for name in linear if name not in shapes), tuple(_experts(model)))


def _experts(model: torch.nn.Module) -> Iterator[str]:
    """Yield parameters that hold several matrices: those of experts, by whatever name, but no convolution's."""
    for name, parameter in model.named_parameters():
        module = model.get_submodule(name.rpartition(".")[0])
        several = name.endswith(WEIGHT) and not isinstance(module, CONVOLUTIONS)
        if parameter.dim() > 2 and (several or EXPERTS in name):
            yield name


def pack_codes(codes: NDArray[np.uint8], bits: int) -> torch.Tensor:
    """Return unsigned codes (outputs, inputs), whose middle is zero, as int32 words (outputs, words)."""
    from compressed_tensors.compressors.pack_quantized.helpers import (  # type: ignore[import-untyped]
        pack_to_int32,
    )

    signed = (codes.astype(np.int16) - (1 << (bits - 1))).astype(np.int8)
    words: torch.Tensor = pack_to_int32(torch.from_numpy(signed), bits)
    return words.contiguous()


def int8_config(ignored: tuple[str, ...]) -> dict[str, Any]:
    """Return the `quantization_config` of INT8 weights by output, and INT8 inputs with a scale for each token."""
    from compressed_tensors.quantization import QuantizationArgs  # type: ignore[import-untyped]

    weights = QuantizationArgs(num_bits=8, type="int", symmetric=True, strategy="channel")
    inputs = QuantizationArgs(num_bits=8, type="int", symmetric=True, strategy="token", dynamic=True)
    return _config(INT8, ignored, weights=weights, input_activations=inputs)


def quantization_config(bits: int, group: int, ignored: tuple[str, ...]) -> dict[str, Any]:
    """Return the `quantization_config` of config.json; `group` is -1 for one scale for each output."""
    from compressed_tensors.quantization import QuantizationArgs

    by_group: dict[str, Any] = {"strategy": "group", "group_size": group}
    arguments = by_group if group != PER_CHANNEL else {"strategy": "channel"}
    return _config(PACKED, ignored, weights=QuantizationArgs(num_bits=bits, type="int", symmetric=True, **arguments))


def _config(format_: str, ignored: tuple[str, ...], **arguments: Any) -> dict[str, Any]:
    from compressed_tensors.quantization import (
        QuantizationConfig,
        QuantizationScheme,
    )

    scheme = QuantizationScheme(targets=["Linear"], format=format_, **arguments)
    config = QuantizationConfig(
        config_groups={"group_0": scheme}, format=format_, quantization_status="compressed", ignore=[*ignored]
    )
    # Other versions of the library refuse keys that they do not know, even without a value.
    written: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    return written


def rounds_inputs(path: Path) -> bool:
    """Return whether the linear layers of a checkpoint round their inputs."""
    settings = json.loads((path / CONFIG).read_text()).get("quantization_config") or {}
    return any(group.get("input_activations") for group in (settings.get("config_groups") or {}).values())


def weights_of(artifact: Artifact) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of a checkpoint, one in memory at a time."""
    for shard in _shards(artifact):
        with safe_open(artifact.path / shard, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                yield name, file.get_tensor(name)


def require_stored(artifact: Artifact, layers: LinearLayers) -> None:
    """Raise BadRecipe if the checkpoint stores a layer under another name or with another shape than the model has."""
    stored = _stored_shapes(artifact)
    for name, shape in layers.shapes.items():
        if stored.get(name + WEIGHT) != shape:
            raise _not_stored(artifact, f"{name}{WEIGHT} of shape {list(shape)}")


def _stored_shapes(artifact: Artifact) -> dict[str, tuple[int, ...]]:
    stored: dict[str, tuple[int, ...]] = {}
    for shard in _shards(artifact):
        with safe_open(artifact.path / shard, "pt") as file:
            stored |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return stored


def _not_stored(artifact: Artifact, tensor: str) -> BadRecipe:
    problem = f"its checkpoint has no tensor {tensor}, as transformers names it"
    remedy = "load the model with transformers, and save it with save_pretrained"
    return BadRecipe("UnsupportedModel", "spec.model.source", artifact.path.name, problem, remedy)


def write_checkpoint(
    artifact: Artifact,
    into: Path,
    layers: Mapping[str, StoredLinear],
    replaced: Mapping[str, NDArray[np.floating]],
    config: Mapping[str, Any],
) -> None:
    """Write the shards of a checkpoint with packed layers, by their names, and replaced tensors, in their type.

    config.json in `into` gets the quantization's configuration. Raises BadRecipe if the checkpoint has no tensor to
    replace, since the layers after it are scaled for the replaced one.
    """
    absent = sorted({*replaced} - {*_stored_shapes(artifact)})
    if absent:
        raise _not_stored(artifact, absent[0])
    kind, total = stored_type(artifact.path), 0
    weight_map: dict[str, str] = {}
    for shard in _shards(artifact):
        written: dict[str, torch.Tensor] = {}
        with safe_open(artifact.path / shard, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                layer = layers.get(name.removesuffix(WEIGHT)) if name.endswith(WEIGHT) else None
                if layer is not None:
                    written |= layer.tensors(name.removesuffix(WEIGHT), kind)
                    continue
                tensor = file.get_tensor(name)
                if name in replaced:
                    tensor = torch.from_numpy(np.array(replaced[name])).to(tensor.dtype)
                written[name] = tensor
        save_shard(written, into / shard)
        weight_map |= dict.fromkeys(written, shard)
        total += sum(tensor.numel() * tensor.element_size() for tensor in written.values())
    for file_ in artifact.files:
        if file_.path.endswith(INDEX):
            index = {"metadata": {"total_size": total}, "weight_map": weight_map}
            (into / file_.path).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
    settings = json.loads((into / CONFIG).read_text())
    settings["quantization_config"] = dict(config)
    (into / CONFIG).write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")


def _shards(artifact: Artifact) -> list[str]:
    return [file.path for file in artifact.files if file.weights and file.path.endswith(".safetensors")]
