"""Build the INT8 graph: QuantizeLinear and DequantizeLinear around selected nodes, by onnxruntime's quantizer."""

import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import TensorData, TensorsData, save_tensors_data

from compression_runner.formats.onnx_files import is_large
from compression_runner.methods.quantize.converters import quiet
from compression_runner.methods.quantize.static.embedding import quantize_tables
from compression_runner.methods.quantize.static.float8 import quantize_nodes
from compression_runner.methods.quantize.static.node_selection import FLOAT_RESULTS, NodeSelection
from compression_runner.methods.quantize.static.ranges import Range


@dataclass(frozen=True)
class Blueprint:
    """The settings of an INT8 graph. `tables` are the embeddings in INT8."""

    model: onnx.ModelProto
    selection: NodeSelection
    ranges: Mapping[str, Range]
    tables: tuple[str, ...]
    per_channel: bool
    float8: bool = False
    """FP8 instead of INT8; tables of embeddings are INT8 in any case."""
    mixed_range: tuple[str, ...] = ()
    """Nodes that stay floats, since branches of different range would share a scale."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that can separately stay floats: nodes, and tables of embeddings."""
        return (*self.selection.nodes, *self.tables)


def build(blueprint: Blueprint, parts: Collection[str]) -> onnx.ModelProto:
    """Return the graph with these parts in eight bits; other parts do not change.

    Activations are unsigned with a zero point, weights signed and symmetric, as kernels on x86 expect.
    Raises QuantizerFailed if onnxruntime cannot quantize the graph.
    """
    nodes = [name for name in blueprint.selection.nodes if name in parts]
    model = onnx.ModelProto()
    model.CopyFrom(blueprint.model)
    if nodes and blueprint.float8:
        model = quantize_nodes(model, nodes, blueprint.ranges, per_channel=blueprint.per_channel)
    elif nodes:
        model = _quantize(model, blueprint, nodes)
    quantize_tables(model, [name for name in blueprint.tables if name in parts])
    return model


def _quantize(model: onnx.ModelProto, blueprint: Blueprint, nodes: list[str]) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="static-") as folder:
        cache, target = Path(folder) / "ranges.json", Path(folder) / "model.onnx"
        _write_ranges(blueprint.ranges, cache)
        with quiet():
            quantize_static(
                model,
                str(target),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=sorted({blueprint.selection.nodes[name] for name in nodes}),
                nodes_to_quantize=nodes,
                per_channel=blueprint.per_channel,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                calibration_cache_path=cache,
                use_external_data_format=is_large(model),
                extra_options={
                    "MatMulConstBOnly": True,
                    "OpTypesToExcludeOutputQuantization": list(FLOAT_RESULTS),
                },
            )
        return onnx.load(target)


def _write_ranges(ranges: Mapping[str, Range], file: Path) -> None:
    """Write ranges to a calibration cache, so that the quantizer does not calibrate itself."""
    data = {
        name: TensorData(lowest=np.array(range_.low, np.float32), highest=np.array(range_.high, np.float32))
        for name, range_ in ranges.items()
    }
    save_tensors_data(TensorsData(CalibrationMethod.MinMax, data), file)
