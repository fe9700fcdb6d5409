"""ONNX graphs in the one form that every method expects, whatever exporter wrote them.

Weights are initializers of the main graph: out of Constant nodes, bodies of If and Loop, model-local functions and the
graph's inputs, and no longer behind operators that compute them. Nodes stand in order. Names stay as they are.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper
from onnx_ir.passes import common

from compression_runner.errors import BadRecipe, cause
from compression_runner.formats.folding import Folding, FoldWeightsPass
from compression_runner.formats.onnx_files import graphs, size_of, sort_nodes

STANDARD: Final = ("", "ai.onnx")
NUMBERS: Final = 16
"""Numbers in a Constant node below which it stays: shapes and axes."""
LEAST_IR: Final = 4
"""The first version of the format whose initializers are no inputs."""
LIFTED_OPSET: Final = 13
"""The least opset that a graph is raised to: the first that has an axis for scales, and bfloat16."""
SMALL: Final = 1024
CHECKER_ERRORS: Final[tuple[type[Exception], ...]] = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
)
CONVERTER_ERRORS: Final[tuple[type[Exception], ...]] = (onnx.version_converter.ConvertError, RuntimeError)


def load(graph: Path, folding: Folding = "smaller") -> onnx.ModelProto:
    """The graph of a file in its normal form, with all weights in memory."""
    model = onnx.load(graph)
    problem = problem_of(graph)
    stated: list[onnx.TypeProto] = []
    if problem:
        # Shapes that do not fit are of no use: they are what most graphs fail at that run all the same.
        del model.graph.value_info[:]
    if "InferenceError" in problem:
        stated = [_taken_shape(value) for value in model.graph.output]
    normal = normalize(model, folding)
    for value, before in zip(normal.graph.output, stated, strict=False):
        if not value.type.tensor_type.HasField("shape"):
            value.type.CopyFrom(before)
    return normal


def normalize(model: onnx.ModelProto, folding: Folding = "smaller") -> onnx.ModelProto:
    """A graph in its normal form; the model itself, as it is, where it has that already."""
    for graph in graphs(model.graph):
        sort_nodes(graph)
        _make_dense(graph)
    given = ir.from_proto(model)
    passes: list[ir.passes.InPlacePass] = [
        *([common.InlinePass()] if model.functions else []),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=NUMBERS),
        common.LiftSubgraphInitializersToMainGraphPass(),
        common.RemoveInitializersFromInputsPass(),
        FoldWeightsPass(folding),
    ]
    modified = [one(given).modified for one in passes]
    if any(modified):
        if any(graph is not given.graph for graph in given.graphs()):
            common.NameFixPass()(given)  # two bodies may have used one name for different weights
        given.ir_version = max(LEAST_IR, given.ir_version)
        model = ir.to_proto(given)
    _complete_outputs(model)
    return model


def raise_opset(model: onnx.ModelProto, needed: int, field: str) -> onnx.ModelProto:
    """The graph with an opset of at least `needed`; the model itself where it has that.

    Raises BadRecipe where onnx cannot convert it.
    """
    version = next((entry.version for entry in model.opset_import if entry.domain in STANDARD), needed)
    if version >= needed:
        return model
    weights = [tensor for tensor in model.graph.initializer if size_of(tensor) > SMALL]
    try:
        converted = onnx.version_converter.convert_version(_without(model, weights), max(needed, LIFTED_OPSET))
    except CONVERTER_ERRORS as error:
        problem = f"the method needs opset {needed}, and onnx cannot convert the graph: {cause(error)}"
        remedy = f"export the model again with opset {needed} or newer"
        raise BadRecipe("OpsetTooOld", field, f"opset {version}", problem, remedy) from error
    names = {tensor.name for tensor in weights}
    for value in [value for value in converted.graph.input if value.name in names]:
        converted.graph.input.remove(value)
    converted.graph.initializer.extend(weights)
    known = {entry.domain for entry in converted.opset_import}
    converted.opset_import.extend(entry for entry in model.opset_import if entry.domain not in known)
    least = helper.find_min_ir_version_for(
        [entry for entry in converted.opset_import if entry.domain in STANDARD], ignore_unknown=True
    )
    converted.ir_version = max(model.ir_version, least, LEAST_IR)
    return converted


def require_valid(graph: Path, field: str) -> None:
    """Raises BadRecipe where a stage's graph is none by onnx's own checker, with the shapes that it infers."""
    problem = problem_of(graph)
    if problem:
        remedy = (
            "check the source with onnx.checker.check_model(PATH, full_check=True), and export it again if it fails"
        )
        raise BadRecipe("InvalidGraph", field, graph.name, f"the result fails onnx.checker: {problem}", remedy)


def problem_of(graph: Path) -> str:
    """What onnx's checker says of a file, in one line; empty where it is whole. Weights outside of it stay there."""
    try:
        onnx.checker.check_model(str(graph), full_check=True)
    except CHECKER_ERRORS as error:
        return cause(error)
    return ""


def _complete_outputs(model: onnx.ModelProto) -> None:
    """Gives outputs the shapes that follow from the graph where it states none: the checker asks for them."""
    if all(value.type.tensor_type.HasField("shape") for value in model.graph.output if _is_tensor(value)):
        return
    weights = [tensor for tensor in model.graph.initializer if size_of(tensor) > SMALL]
    inferred = onnx.shape_inference.infer_shapes(_without(model, weights))
    for value, known in zip(model.graph.output, inferred.graph.output, strict=True):
        if _is_tensor(known) and not value.type.tensor_type.HasField("shape"):
            value.type.CopyFrom(known.type)


def _taken_shape(value: onnx.ValueInfoProto) -> onnx.TypeProto:
    """The type of an output, which states no shape any more."""
    before = onnx.TypeProto()
    before.CopyFrom(value.type)
    if _is_tensor(value):
        value.type.tensor_type.ClearField("shape")
    return before


def _is_tensor(value: onnx.ValueInfoProto) -> bool:
    return value.type.HasField("tensor_type") or not value.type.WhichOneof("value")


def _make_dense(graph: onnx.GraphProto) -> None:
    """Stores sparse initializers, and sparse Constant nodes, in full: no method looks at them otherwise."""
    for sparse in graph.sparse_initializer:
        graph.initializer.append(_dense(sparse, sparse.values.name))
    del graph.sparse_initializer[:]
    for node in graph.node:
        for entry in node.attribute if node.op_type == "Constant" else ():
            if entry.name == "sparse_value":
                tensor = _dense(entry.sparse_tensor, node.output[0])
                entry.CopyFrom(helper.make_attribute("value", tensor))


def _dense(sparse: onnx.SparseTensorProto, name: str) -> onnx.TensorProto:
    values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    array: Any = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        array.reshape(-1)[indices] = values
    else:
        array[tuple(indices.T)] = values
    tensor: onnx.TensorProto = numpy_helper.from_array(array, name)
    return tensor


def _without(model: onnx.ModelProto, weights: list[onnx.TensorProto]) -> onnx.ModelProto:
    """The graph with weights as inputs, since the converter takes no more than 2 GB."""
    names = {tensor.name for tensor in weights}
    light = onnx.ModelProto()
    light.ir_version = model.ir_version
    light.opset_import.extend(model.opset_import)
    graph = light.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    graph.value_info.extend(model.graph.value_info)
    graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name not in names)
    graph.input.extend(helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in weights)
    return light
