"""Runs a graph over calibration samples and looks at values inside of it, in the memory of one batch."""

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
from compression_runner.inference.session import open_session
from compression_runner.methods.quantize.static.ranges import (
    Range,
    entropy_range,
    histogram,
    percentile_range,
    seen_range,
)
from compressionjob.methods.quantize.static import Calibration

AT_ONCE: Final = 8
"""Samples of one batch; one where sequences would be filled up, since the filling is not what a model sees."""

Values = dict[str, NDArray[np.generic]]


def calibration_feeds(model: onnx.ModelProto, samples: SampleSet) -> list[Feed]:
    """The samples in small batches by input name.

    Raises InvalidInput where the data does not have what the graph takes.
    """
    inputs = graph_inputs(model)
    size = 1 if samples.padding else AT_ONCE
    return [samples.batch(indices, inputs) for indices in samples.batches(inputs, size)]


class Observer:
    """A graph whose inner values can be seen. Raises onnxruntime's errors where it does not run."""

    def __init__(self, model: onnx.ModelProto, names: Collection[str]) -> None:
        self._names = sorted(names)
        self._inputs = {value.name for value in model.graph.input}
        there = {value.name for value in model.graph.output} | self._inputs
        seen = onnx.ModelProto()
        seen.CopyFrom(model)
        seen.graph.output.extend(
            onnx.helper.make_empty_tensor_value_info(name) for name in self._names if name not in there
        )
        with tempfile.TemporaryDirectory(prefix="calibration-") as place:
            self._session: Any = open_session(save(seen, Path(place)))

    def values(self, feeds: Sequence[Feed]) -> Iterator[Values]:
        """The values of each batch by name."""
        computed = [name for name in self._names if name not in self._inputs]
        for feed in feeds:
            results = self._session.run(computed, feed) if computed else []
            given = {name: feed[name] for name in self._names if name in self._inputs}
            yield {**dict(zip(computed, results, strict=True)), **given}


def find_ranges(
    model: onnx.ModelProto, feeds: Sequence[Feed], names: Collection[str], calibration: Calibration
) -> dict[str, Range]:
    """The range of each value, by the way of `calibration`; without those that are never finite.

    Values are looked at twice where a histogram is needed: for its ends, and for its counts.
    """
    observer = Observer(model, names)
    seen: dict[str, Range] = {}
    for values in observer.values(feeds):
        for name, value in values.items():
            found = seen_range(value)
            if found is not None:
                seen[name] = seen[name].widened(found) if name in seen else found
    if calibration == "minmax":
        return seen
    spread = {name: found for name, found in seen.items() if found.high > found.low}
    counts = {name: np.zeros_like(histogram(np.zeros(0), found)) for name, found in spread.items()}
    for values in observer.values(feeds):
        for name, found in spread.items():
            counts[name] += histogram(values[name], found)
    cut = entropy_range if calibration == "entropy" else percentile_range
    return seen | {name: cut(counts[name], found) for name, found in spread.items()}
