"""Sequential calibration: run a graph in segments, so that each layer sees the output of the compressed layers before.

The graph is cut before each group of layers. The values that are live at a cut (the residual stream, masks) are kept
for every batch, so the calibration costs one pass and holds the weights of one segment at a time. This is the
sequential scheme of GPTQ (Frantar et al. 2022, arXiv:2210.17323), which works on transformer blocks, for any graph.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from compression_runner.calibration.layers import LayerGroup, constant_nodes, consumers
from compression_runner.formats.onnx_files import reads, save

Values = dict[str, NDArray[np.generic]]
END: Final = 1 << 62


class UnsupportedGraph(Exception):
    """The graph cannot be cut: a value that crosses a cut is not a tensor."""


class SequentialCalibration:
    """One pass over a graph with all batches at once.

    `model` may change during the pass: each segment reads the present initializers when it runs. `feeds` are the
    inputs of the batches by name. `keep_outputs` keeps the outputs of the graph for `outputs`.
    """

    def __init__(
        self, model: onnx.ModelProto, feeds: Sequence[Mapping[str, NDArray[np.generic]]], *, keep_outputs: bool = False
    ) -> None:
        self._model = model
        self._position = 0
        self._constants = {tensor.name for tensor in model.graph.initializer}
        self._last = {name: node_indices[-1] for name, node_indices in consumers(model).items()}
        self._outputs = {value.name for value in model.graph.output} if keep_outputs else set()
        self._last |= dict.fromkeys(self._outputs, END)
        # A transposed table is as large as the table: recompute constants where they are read, do not keep them.
        self._fixed = {name: index for index in constant_nodes(model) for name in model.graph.node[index].output}
        self._values: list[Values] = [dict(feed) for feed in feeds]

    def groups(self, groups: Sequence[LayerGroup]) -> Iterator[tuple[LayerGroup, list[NDArray[np.generic]]]]:
        """Yield each group with its input for every batch, after all nodes before the group have run.

        If the caller changes the weights of the group, later groups see the effect. Raises UnsupportedGraph, and the
        errors of onnxruntime if it cannot run a segment.
        """
        for group in groups:
            self._advance(group.first, keep=group.source)
            yield group, [values[group.source] for values in self._values]

    def outputs(self) -> list[Values]:
        """Run the rest of the graph and return its outputs for every batch; requires `keep_outputs`."""
        self._advance(len(self._model.graph.node), keep="")
        names = [value.name for value in self._model.graph.output]
        return [{name: values[name] for name in names} for values in self._values]

    def _advance(self, node_index: int, keep: str) -> None:
        """Run the nodes up to index `node_index`, and drop the values that no later node reads."""
        produced = {
            name for node in self._model.graph.node[self._position : node_index] for name in node.output if name
        }
        required = sorted(
            name
            for name in produced
            if name in (keep, *self._outputs) or (self._last.get(name, -1) >= node_index and name not in self._fixed)
        )
        if required:
            self._run(self._needed(node_index), required)
        self._position = max(self._position, node_index)
        for values in self._values:
            for name in [name for name in values if self._last.get(name, -1) < self._position and name != keep]:
                del values[name]

    def _needed(self, node_index: int) -> list[onnx.NodeProto]:
        """Return the nodes from the present index up to `node_index`, and the earlier constant nodes that they need."""
        chosen = set(range(self._position, node_index))
        pending = sorted(chosen)
        while pending:
            for name in reads(self._model.graph.node[pending.pop()]):
                index = self._fixed.get(name, -1)
                if index >= 0 and index not in chosen:
                    chosen.add(index)
                    pending.append(index)
        return [self._model.graph.node[index] for index in sorted(chosen)]

    def _run(self, nodes: Sequence[onnx.NodeProto], required: list[str]) -> None:
        from compression_runner.inference.onnx_session import open_session

        produced = {name for node in nodes for name in node.output}
        read = sorted({name for node in nodes for name in reads(node)} - produced - self._constants)
        with tempfile.TemporaryDirectory(prefix="calibration-") as folder:
            session = open_session(save(self._segment(nodes, read, required), Path(folder)))
        for values in self._values:
            results = session.run(required, {name: values[name] for name in read})
            if not all(isinstance(result, np.ndarray) for result in results):
                raise UnsupportedGraph("a value that crosses a cut of the graph is not a tensor")
            values.update(zip(required, results, strict=True))

    def _segment(self, nodes: Sequence[onnx.NodeProto], read: list[str], required: list[str]) -> onnx.ModelProto:
        """Return the nodes as a model; the shapes of its inputs are free, the runtime infers those of its outputs."""
        used = {name for node in nodes for name in reads(node)}
        graph = onnx.helper.make_graph(
            list(nodes),
            "segment",
            [_input(name, self._values[0][name]) for name in read],
            [onnx.helper.make_empty_tensor_value_info(name) for name in required],
        )
        graph.initializer.extend(tensor for tensor in self._model.graph.initializer if tensor.name in used)
        segment = onnx.helper.make_model(graph, ir_version=self._model.ir_version)
        del segment.opset_import[:]
        segment.opset_import.extend(self._model.opset_import)
        segment.functions.extend(self._model.functions)
        return segment


def _input(name: str, value: NDArray[np.generic]) -> Any:
    kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, [None] * value.ndim)
