"""Refuse weights with NaN or infinity: in a source, and those that a stage adds.

No method has a meaning for them, and the answers of the result would be NaN. Constants other than weights may be
infinite, such as a mask that is added to scores, and so may a table that is looked up.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.formats.graph_weights import WEIGHTS, float_weights
from compression_runner.formats.onnx_files import tensors

if TYPE_CHECKING:
    import torch

FIELD: Final = "spec.model.source"
MULTIPLIED: Final = {operator: places for operator, places in WEIGHTS.items() if operator != "Gather"}
TYPES: Final = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.BFLOAT16,
)
STORED: Final = ("F16", "BF16", "F32", "F64")
"""Types of safetensors that are checked."""
SHORTEST: Final = 2
"""Bytes of the shortest type that is checked: of float8 torch has no minimum."""


def require_finite_graph(model: onnx.ModelProto) -> None:
    """Raise InvalidInput if a weight of a graph in normal form has NaN, or infinity in a product."""
    multiplied = {tensor.name for tensor in float_weights(model, MULTIPLIED)}
    for tensor in float_weights(model):
        content = _content(numpy_helper.to_array(tensor))
        if content == "NaN" or (content and tensor.name in multiplied):
            raise _refused_source(tensor.name, content)


def require_finite_module(module: "torch.nn.Module") -> None:
    """Raise InvalidInput if a parameter of a model has NaN or infinity."""
    for name, parameter in module.named_parameters():
        content = _content_of_torch(parameter.detach())
        if content:
            raise _refused_source(name, content)


def require_finite_result(before: Artifact, after: Artifact, field: str) -> None:
    """Raise BadRecipe if the result of a stage has a tensor with NaN or +infinity that its input does not have.

    Stages rename, fold and reshape constants, so any such constant of the input, of any shape, accounts for those of
    the result. Minus infinity is legitimate: the smallest float32 of a mask has no other value in bfloat16.
    """
    broken = dict(_broken_tensors(after))
    if not broken:
        return
    known = {content for _, content in _broken_tensors(before)}
    for name, content in broken.items():
        if content not in known:
            problem = f"the result of the stage has {content} in {name}"
            remedy = "exclude this weight, change the parameters of the stage, or remove it"
            raise BadRecipe("NotFinite", field, name, problem, remedy)


def _refused_source(name: str, content: str) -> InvalidInput:
    problem = f"the weight {name} has {content}"
    return InvalidInput("InvalidModel", FIELD, name, problem, "give a model whose weights are all finite")


def _broken_tensors(artifact: Artifact) -> Iterator[tuple[str, str]]:
    """Yield name and content ("NaN" or "infinity") of stored floating-point tensors with NaN or +infinity."""
    if artifact.packing is not None:
        return
    if artifact.format == "onnx":
        yield from _broken_in_graph(artifact.model_file)
    for file in artifact.files if artifact.format in ("transformers", "torch") else ():
        if file.path.endswith(".safetensors"):
            yield from _broken_in_shard(artifact.path / file.path)


def _broken_in_graph(graph: Path) -> Iterator[tuple[str, str]]:
    model = onnx.load(graph, load_external_data=False)
    for tensor in tensors(model):
        if tensor.data_type in TYPES:
            array = numpy_helper.to_array(tensor, base_dir=str(graph.parent))
            content = _content(array)
            if content == "NaN" or (content and np.isposinf(float(array.max()))):
                yield tensor.name, content


def _broken_in_shard(shard: Path) -> Iterator[tuple[str, str]]:
    from safetensors import safe_open

    with safe_open(shard, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            if file.get_slice(name).get_dtype() in STORED:
                tensor = file.get_tensor(name)
                content = _content_of_torch(tensor)
                if content == "NaN" or (content and np.isposinf(float(tensor.max()))):
                    yield name, content


def _content(array: NDArray[Any]) -> str:
    """Return "NaN" or "infinity" if an array has one; empty for finite numbers. Needs no memory for native types."""
    if not array.size:
        return ""
    known = array if array.dtype.kind == "f" else array.astype(np.float32)
    return _name(float(known.min()), float(known.max()))


def _content_of_torch(tensor: "torch.Tensor") -> str:
    if not tensor.numel() or not tensor.is_floating_point() or tensor.element_size() < SHORTEST:
        return ""
    least, most = tensor.aminmax()
    return _name(float(least), float(most))


def _name(least: float, most: float) -> str:
    """Name what is not finite among numbers with this minimum and maximum; both are NaN if one number is."""
    if np.isnan(least) or np.isnan(most):
        return "NaN"
    return "infinity" if np.isinf(least) or np.isinf(most) else ""
