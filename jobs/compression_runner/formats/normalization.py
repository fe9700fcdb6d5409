"""Convert ONNX graphs of any exporter to the normal form that all methods expect.

All weights become initializers of the main graph: those in Constant nodes, bodies of If and Loop, model-local
functions and graph inputs, and those that operators compute from constants. Nodes are sorted. Names do not change.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper
from onnx_ir.passes import common

from compression_runner.errors import BadRecipe, cause
from compression_runner.formats.finite_weights import require_finite_graph
from compression_runner.formats.folding import Folding, FoldWeightsPass
from compression_runner.formats.onnx_files import graphs, size_of, sort_nodes

STANDARD: Final = ("", "ai.onnx")
NUMBERS: Final = 16
"""Constant nodes with fewer numbers stay: shapes and axes."""
LEAST_IR: Final = 4
"""The first IR version whose initializers need not be inputs."""
LIFTED_OPSET: Final = 13
"""Minimum target of a raised opset: the first with an axis for scales, and with bfloat16."""
SMALL: Final = 1024
CHECKER_ERRORS: Final[tuple[type[Exception], ...]] = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
)
CONVERTER_ERRORS: Final[tuple[type[Exception], ...]] = (onnx.version_converter.ConvertError, RuntimeError)


def load(graph: Path, folding: Folding = "smaller") -> onnx.ModelProto:
    """Load the graph of a file in normal form, with all weights in memory.

    Raises InvalidInput for a weight with NaN or infinity.
    """
    model = onnx.load(graph)
    problem = checker_error(graph)
    stated: list[onnx.TypeProto] = []
    if problem:
        # Drop wrong shapes: most graphs that run but fail the checker fail it because of them.
        del model.graph.value_info[:]
    if "InferenceError" in problem:
        stated = [_taken_shape(value) for value in model.graph.output]
    normal = normalize(model, folding)
    require_finite_graph(normal)
    for value, before in zip(normal.graph.output, stated, strict=False):
        if not value.type.tensor_type.HasField("shape"):
            value.type.CopyFrom(before)
    return normal


def normalize(model: onnx.ModelProto, folding: Folding = "smaller") -> onnx.ModelProto:
    """Return a graph in normal form; the model itself if it already has that form."""
    for graph in graphs(model.graph):
        sort_nodes(graph)
        _make_dense(graph)
    ir_model = ir.from_proto(model)
    passes: list[ir.passes.InPlacePass] = [
        *([common.InlinePass()] if model.functions else []),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=NUMBERS),
        common.LiftSubgraphInitializersToMainGraphPass(),
        common.RemoveInitializersFromInputsPass(),
        FoldWeightsPass(folding),
    ]
    modified = [one(ir_model).modified for one in passes]
    if any(modified):
        if any(graph is not ir_model.graph for graph in ir_model.graphs()):
            common.NameFixPass()(ir_model)  # two bodies may have used one name for different weights
        ir_model.ir_version = max(LEAST_IR, ir_model.ir_version)
        model = ir.to_proto(ir_model)
    _complete_outputs(model)
    return model


def raise_opset(model: onnx.ModelProto, needed: int, field: str) -> onnx.ModelProto:
    """Return the graph with an opset of at least `needed`; the model itself if it has one.

    Raises BadRecipe if onnx cannot convert it.
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
    """Raise BadRecipe if onnx.checker, with shape inference, rejects the graph of a stage."""
    problem = checker_error(graph)
    if problem:
        remedy = (
            "check the source with onnx.checker.check_model(PATH, full_check=True), and export it again if it fails"
        )
        raise BadRecipe("InvalidGraph", field, graph.name, f"the result fails onnx.checker: {problem}", remedy)


def checker_error(graph: Path) -> str:
    """Return the error of onnx.checker for a file, in one line; empty for a valid file. Loads no external weights."""
    try:
        onnx.checker.check_model(str(graph), full_check=True)
    except CHECKER_ERRORS as error:
        return cause(error)
    return ""


def _complete_outputs(model: onnx.ModelProto) -> None:
    """Add inferred shapes to outputs without one: the checker requires them."""
    if all(value.type.tensor_type.HasField("shape") for value in model.graph.output if _is_tensor(value)):
        return
    weights = [tensor for tensor in model.graph.initializer if size_of(tensor) > SMALL]
    inferred = onnx.shape_inference.infer_shapes(_without(model, weights))
    for value, known in zip(model.graph.output, inferred.graph.output, strict=True):
        if _is_tensor(known) and not value.type.tensor_type.HasField("shape"):
            value.type.CopyFrom(known.type)


def _taken_shape(value: onnx.ValueInfoProto) -> onnx.TypeProto:
    """Remove the shape of an output, and return its previous type."""
    before = onnx.TypeProto()
    before.CopyFrom(value.type)
    if _is_tensor(value):
        value.type.tensor_type.ClearField("shape")
    return before


def _is_tensor(value: onnx.ValueInfoProto) -> bool:
    return value.type.HasField("tensor_type") or not value.type.WhichOneof("value")


def _make_dense(graph: onnx.GraphProto) -> None:
    """Convert sparse initializers and sparse Constant nodes to dense ones: methods only handle dense weights."""
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
    """Return the graph with these weights as inputs, since the converter is limited to 2 GB."""
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
