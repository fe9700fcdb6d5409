"""Calibrate the ranges of intermediate values of a graph, in the memory of one batch."""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from compression_runner.calibration.feeding import Feed, graph_inputs
from compression_runner.dataset import SampleSet
from compression_runner.formats.onnx_files import save
from compression_runner.inference.onnx_session import open_session
from compression_runner.methods.quantize.static.ranges import (
    Range,
    entropy_range,
    finite_range,
    histogram,
    percentile_range,
)
from compressionjob.methods.quantize.static import Calibration

BATCH: Final = 8
"""Samples of one batch; batches of sequences have one sample, since padding would affect the ranges."""

Values = dict[str, NDArray[np.generic]]


def calibration_feeds(model: onnx.ModelProto, samples: SampleSet) -> list[Feed]:
    """Return the samples in small batches by input name.

    Raises InvalidInput if the data lacks an input of the graph.
    """
    inputs = graph_inputs(model)
    size = 1 if samples.padding else BATCH
    return [samples.batch(indices, inputs) for indices in samples.batches(inputs, size)]


class IntermediateValues:
    """A graph that returns intermediate values by name. Raises the errors of onnxruntime if it does not run."""

    def __init__(self, model: onnx.ModelProto, names: Collection[str]) -> None:
        self._names = sorted(names)
        self._inputs = {value.name for value in model.graph.input}
        outputs = {value.name for value in model.graph.output} | self._inputs
        exposed = onnx.ModelProto()
        exposed.CopyFrom(model)
        exposed.graph.output.extend(
            onnx.helper.make_empty_tensor_value_info(name) for name in self._names if name not in outputs
        )
        with tempfile.TemporaryDirectory(prefix="calibration-") as folder:
            self._session: Any = open_session(save(exposed, Path(folder)))

    def values(self, feeds: Sequence[Feed]) -> Iterator[Values]:
        """Yield the values of each batch by name."""
        computed = [name for name in self._names if name not in self._inputs]
        for feed in feeds:
            results = self._session.run(computed, feed) if computed else []
            passed = {name: feed[name] for name in self._names if name in self._inputs}
            yield {**dict(zip(computed, results, strict=True)), **passed}


def find_ranges(
    model: onnx.ModelProto, feeds: Sequence[Feed], names: Collection[str], calibration: Calibration
) -> dict[str, Range]:
    """Return the range of each value by the method `calibration`, without values that are never finite.

    Methods with histograms need two passes: for the ends of a histogram, and for its counts.
    """
    intermediate = IntermediateValues(model, names)
    full: dict[str, Range] = {}
    for values in intermediate.values(feeds):
        for name, value in values.items():
            of_batch = finite_range(value)
            if of_batch is not None:
                full[name] = full[name].union(of_batch) if name in full else of_batch
    if calibration == "minmax":
        return full
    spread = {name: range_ for name, range_ in full.items() if range_.high > range_.low}
    counts = {name: np.zeros_like(histogram(np.zeros(0), range_)) for name, range_ in spread.items()}
    for values in intermediate.values(feeds):
        for name, range_ in spread.items():
            counts[name] += histogram(values[name], range_)
    cut = entropy_range if calibration == "entropy" else percentile_range
    return full | {name: cut(counts[name], range_) for name, range_ in spread.items()}
