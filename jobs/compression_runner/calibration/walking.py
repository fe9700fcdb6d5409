"""Running a graph piece by piece over calibration samples, so that every layer sees what the layers before it became.

The graph is cut before each group of layers. What is alive at a cut (the residual stream, masks) is kept for every
batch, so the whole walk costs one pass, and holds the weights of one piece at a time. It is the sequential scheme of
GPTQ (Frantar et al. 2022, arXiv:2210.17323), which goes by transformer blocks, for any graph.
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
    """A graph that cannot be cut: something other than a tensor goes from one piece to the next."""


class Walk:
    """One pass over a graph with all batches at once.

    `model` may change on the way: a piece takes the initializers as they are when it runs. `feeds` are the batches'
    inputs by name. With `keep_outputs` what the graph answers is kept for `outputs`.
    """

    def __init__(
        self, model: onnx.ModelProto, feeds: Sequence[Mapping[str, NDArray[np.generic]]], *, keep_outputs: bool = False
    ) -> None:
        self._model = model
        self._at = 0
        self._constants = {tensor.name for tensor in model.graph.initializer}
        self._last = {name: places[-1] for name, places in consumers(model).items()}
        self._outputs = {value.name for value in model.graph.output} if keep_outputs else set()
        self._last |= dict.fromkeys(self._outputs, END)
        # A transposed table is as large as the table: what is constant is computed where it is read, and never kept.
        self._fixed = {name: index for index in constant_nodes(model) for name in model.graph.node[index].output}
        self._values: list[Values] = [dict(feed) for feed in feeds]

    def groups(self, groups: Sequence[LayerGroup]) -> Iterator[tuple[LayerGroup, list[NDArray[np.generic]]]]:
        """Each group with its input for every batch, when all that comes before it has run.

        What the caller does to the group's weights counts for what comes after. Raises UnsupportedGraph, and
        onnxruntime's errors where it cannot run a piece.
        """
        for group in groups:
            self._advance(group.first, keep=group.source)
            yield group, [values[group.source] for values in self._values]

    def outputs(self) -> list[Values]:
        """The graph's outputs for every batch, after all of it has run; only with `keep_outputs`."""
        self._advance(len(self._model.graph.node), keep="")
        names = [value.name for value in self._model.graph.output]
        return [{name: values[name] for name in names} for values in self._values]

    def _advance(self, place: int, keep: str) -> None:
        """Runs the nodes up to `place`, and forgets what nothing after it reads."""
        made = {name for node in self._model.graph.node[self._at : place] for name in node.output if name}
        wanted = sorted(
            name
            for name in made
            if name in (keep, *self._outputs) or (self._last.get(name, -1) >= place and name not in self._fixed)
        )
        if wanted:
            self._run(self._needed(place), wanted)
        self._at = max(self._at, place)
        for values in self._values:
            for name in [name for name in values if self._last.get(name, -1) < self._at and name != keep]:
                del values[name]

    def _needed(self, place: int) -> list[onnx.NodeProto]:
        """The nodes from here up to `place`, with the constant ones before them that they build on."""
        chosen = set(range(self._at, place))
        waiting = sorted(chosen)
        while waiting:
            for name in reads(self._model.graph.node[waiting.pop()]):
                index = self._fixed.get(name, -1)
                if index >= 0 and index not in chosen:
                    chosen.add(index)
                    waiting.append(index)
        return [self._model.graph.node[index] for index in sorted(chosen)]

    def _run(self, nodes: Sequence[onnx.NodeProto], wanted: list[str]) -> None:
        from compression_runner.inference.session import open_session

        made = {name for node in nodes for name in node.output}
        read = sorted({name for node in nodes for name in reads(node)} - made - self._constants)
        with tempfile.TemporaryDirectory(prefix="calibration-") as place:
            session = open_session(save(self._piece(nodes, read, wanted), Path(place)))
        for values in self._values:
            results = session.run(wanted, {name: values[name] for name in read})
            if not all(isinstance(result, np.ndarray) for result in results):
                raise UnsupportedGraph("something other than a tensor goes from one part of the graph to the next")
            values.update(zip(wanted, results, strict=True))

    def _piece(self, nodes: Sequence[onnx.NodeProto], read: list[str], wanted: list[str]) -> onnx.ModelProto:
        """The nodes as a model; shapes of its inputs are free, those of its outputs are left to the runtime."""
        used = {name for node in nodes for name in reads(node)}
        graph = onnx.helper.make_graph(
            list(nodes),
            "piece",
            [_input(name, self._values[0][name]) for name in read],
            [onnx.helper.make_empty_tensor_value_info(name) for name in wanted],
        )
        graph.initializer.extend(tensor for tensor in self._model.graph.initializer if tensor.name in used)
        piece = onnx.helper.make_model(graph, ir_version=self._model.ir_version)
        del piece.opset_import[:]
        piece.opset_import.extend(self._model.opset_import)
        piece.functions.extend(self._model.functions)
        return piece


def _input(name: str, value: NDArray[np.generic]) -> Any:
    kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, [None] * value.ndim)
