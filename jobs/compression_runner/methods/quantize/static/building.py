"""Writes the INT8 graph: QuantizeLinear and DequantizeLinear around the chosen nodes, by onnxruntime's quantizer."""

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
from compression_runner.methods.quantize.static.ranges import Range
from compression_runner.methods.quantize.static.recipe import FLOAT_RESULTS, Recipe


@dataclass(frozen=True)
class Blueprint:
    """All that an INT8 graph is made from. `tables` are the embeddings that are stored in INT8."""

    model: onnx.ModelProto
    recipe: Recipe
    ranges: Mapping[str, Range]
    tables: tuple[str, ...]
    per_channel: bool
    float8: bool = False
    """Floats of eight bits in place of integers; tables of embeddings are INT8 in any case."""
    unlike: tuple[str, ...] = ()
    """Nodes that stay floats since branches of unlike range would share a scale."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of everything that can be left in floats on its own: nodes, and tables of embeddings."""
        return (*self.recipe.nodes, *self.tables)


def build(blueprint: Blueprint, parts: Collection[str]) -> onnx.ModelProto:
    """The graph with these parts in eight bits and all others as they are.

    Activations are unsigned with a zero point, weights signed and symmetric: what kernels on x86 are made for.
    Raises QuantizerFailed where onnxruntime cannot quantize the graph.
    """
    nodes = [name for name in blueprint.recipe.nodes if name in parts]
    model = onnx.ModelProto()
    model.CopyFrom(blueprint.model)
    if nodes and blueprint.float8:
        model = quantize_nodes(model, nodes, blueprint.ranges, per_channel=blueprint.per_channel)
    elif nodes:
        model = _quantize(model, blueprint, nodes)
    quantize_tables(model, [name for name in blueprint.tables if name in parts])
    return model


def _quantize(model: onnx.ModelProto, blueprint: Blueprint, nodes: list[str]) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="static-") as place:
        cache, target = Path(place) / "ranges.json", Path(place) / "model.onnx"
        _write_ranges(blueprint.ranges, cache)
        with quiet():
            quantize_static(
                model,
                str(target),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=sorted({blueprint.recipe.nodes[name] for name in nodes}),
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


def _write_ranges(ranges: Mapping[str, Range], place: Path) -> None:
    """In the file from which the quantizer takes ranges instead of observing them itself."""
    found = {
        name: TensorData(lowest=np.array(seen.low, np.float32), highest=np.array(seen.high, np.float32))
        for name, seen in ranges.items()
    }
    save_tensors_data(TensorsData(CalibrationMethod.MinMax, found), place)
