"""A graph made ready for static quantization: constants folded, BatchNorm within its convolution, nodes with names."""

import logging
import tempfile
from collections import Counter
from pathlib import Path

import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process

from compression_runner.formats.onnx_files import SINGLE_FILE_LIMIT


def prepare(graph: Path) -> onnx.ModelProto:
    """The graph after onnxruntime's basic optimisations, which hold on any machine, with the types of all values.

    Raises ValueError, TypeError, KeyError or RuntimeError from onnx and onnxruntime where they cannot read it.
    """
    large = sum(place.stat().st_size for place in graph.parent.iterdir() if place.is_file()) > SINGLE_FILE_LIMIT
    # It logs a traceback where the optimiser does not take the graph, and goes on without.
    logging.getLogger("onnxruntime.quantization.shape_inference").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="prepare-") as place:
        target = Path(place) / "prepared.onnx"
        quant_pre_process(
            str(graph), str(target), skip_symbolic_shape=True, save_as_external_data=large, all_tensors_to_one_file=True
        )
        model = onnx.load(target)
    _name_nodes(model)
    return model


def _name_nodes(model: onnx.ModelProto) -> None:
    """Gives every node a name of its own: which ones are quantized is told by name."""
    counts = Counter(node.name for node in model.graph.node)
    for index, node in enumerate(model.graph.node):
        if not node.name or counts[node.name] > 1:
            node.name = f"{node.op_type}_{index}"
