"""INT8 by onnxruntime's dynamic quantization: integer operators, and activations quantized at run time.

Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from compression_runner.formats.graph_weights import sizes_of_weights, skipped_details
from compression_runner.formats.normalization import STANDARD
from compression_runner.formats.onnx_files import graphs, is_large, nodes, reads, sort_nodes
from compression_runner.methods.quantize.converters import quiet

OPSET: Final = 11
"""The first opset with DynamicQuantizeLinear."""
OWN_WEIGHTS: Final[Mapping[str, tuple[int, ...]]] = {"LSTM": (1, 2), "Conv": (1,)}
"""Weight inputs that onnxruntime searches only in the operator's own graph; it also reshapes those of an LSTM."""
QUANTIZED: Final = ("MatMulInteger", "ConvInteger", "DynamicQuantizeLSTM", "QAttention", "QEmbedLayerNormalization")


def quantize(model: onnx.ModelProto, target: Path, *, per_channel: bool) -> Mapping[str, Any]:
    """Write the model with INT8 weights to `target`, and count the quantized operators.

    Raises QuantizerFailed if onnxruntime cannot quantize the graph.
    """
    give_own_weights(model.graph)
    with quiet():
        quantize_dynamic(
            model,
            str(target),
            per_channel=per_channel,
            weight_type=QuantType.QInt8,
            use_external_data_format=is_large(model),
            extra_options={"EnableSubgraph": sum(1 for _ in graphs(model.graph)) > 1},
        )
    result = _completed(target)
    operators = Counter(node.op_type for node in nodes(result.graph))
    # A table of embeddings stays a Gather, on integers that a DequantizeLinear dequantizes.
    counts = {name: operators[name] for name in (*QUANTIZED, "DequantizeLinear") if operators[name]}
    return {"quantizedOperators": counts, **skipped_details(sizes_of_weights(result))}


def _completed(target: Path) -> onnx.ModelProto:
    """Sort the nodes of a file that onnxruntime wrote, declare its operator sets, and return the graph.

    onnxruntime sorts nodes without the inputs of their bodies and declares the bodies' operator sets in the bodies.
    External weights do not change.
    """
    result = onnx.load(target, load_external_data=False)
    for part in graphs(result.graph):
        sort_nodes(part)
    declared = {entry.domain for entry in result.opset_import}
    used = {node.domain for node in nodes(result.graph) if node.domain not in STANDARD}
    result.opset_import.extend(helper.make_opsetid(domain, 1) for domain in sorted(used - declared))
    target.write_bytes(result.SerializeToString())
    return result


def give_own_weights(graph: onnx.GraphProto) -> None:
    """Copy the weights in `OWN_WEIGHTS` into the operator's own graph, also in bodies of If, Loop and Scan.

    A weight that several such operators share is copied for each of them.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    readers: dict[str, list[tuple[onnx.GraphProto, onnx.NodeProto, int]]] = {}
    for part in graphs(graph):
        for node in part.node:
            for position in OWN_WEIGHTS.get(node.op_type, ()) if node.domain in STANDARD else ():
                if position < len(node.input) and node.input[position] in stored:
                    readers.setdefault(node.input[position], []).append((part, node, position))
    for name, uses in readers.items():
        for number, (part, node, position) in enumerate(uses):
            recurrent = node.op_type == "LSTM"
            if part is graph and not (recurrent and len(uses) > 1):
                continue
            own = part.initializer.add()
            own.CopyFrom(stored[name])
            own.name = node.input[position] = f"{name}_own{number}"
    read = {name for node in graph.node for name in reads(node)} | {value.name for value in graph.output}
    for name in readers:
        if name not in read:
            graph.initializer.remove(stored[name])
