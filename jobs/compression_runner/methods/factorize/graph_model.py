"""An ONNX graph as a `Factorizable`."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from compression_runner.calibration.feeding import feeds
from compression_runner.calibration.layers import GraphLayer, LayerGroup
from compression_runner.calibration.sensitivity import output_changes
from compression_runner.calibration.sequential import SequentialCalibration
from compression_runner.calibration.statistics import MASK
from compression_runner.dataset import SampleSet
from compression_runner.methods.factorize.decomposition import Factor, Floats, InputMoments
from compression_runner.methods.factorize.graph_rewriting import rewrite
from compression_runner.methods.factorize.graph_weights import GraphWeight, find_weights
from compression_runner.methods.factorize.input_collector import InputCollector
from compression_runner.methods.factorize.model import Kind, Target


class GraphModel:
    """A graph, the size of its files, and calibration samples or None."""

    def __init__(self, model: onnx.ModelProto, size_bytes: int, samples: SampleSet | None) -> None:
        self.model = model
        self.size_bytes = size_bytes
        self._samples = samples
        self._weights = {weight.target.name: weight for weight in find_weights(model)}

    def targets(self) -> list[Target]:
        """Return the weights in graph order."""
        return [weight.target for weight in self._weights.values()]

    def inputs(self, targets: Sequence[Target]) -> Mapping[str, InputMoments]:
        """Return name -> moments of the inputs on the calibration data."""
        batches = feeds(self.model, self._known_samples())
        weights = [self._weights[target.name] for target in targets]
        masks = [batch.get(MASK) for batch in batches]
        moments: dict[str, InputMoments] = {}
        for group, values in SequentialCalibration(self.model, batches).groups(_groups(weights)):
            group_weights = [weight for weight in weights if any(layer in group.layers for layer in weight.layers)]
            # A table and a product with the same input differ; layers of one kind share the moments.
            known: dict[Kind, InputMoments] = {}
            for weight in group_weights:
                target = weight.target
                if target.kind not in known:
                    known[target.kind] = _collect(target, zip(values, masks, strict=True))
                for _ in (layer for layer in weight.layers if layer in group.layers):
                    previous = moments.get(target.name)
                    moments[target.name] = known[target.kind] if previous is None else previous + known[target.kind]
        return {name: inputs for name, inputs in moments.items() if inputs.count}

    def changes(self, substitutes: Iterable[tuple[Target, Floats]]) -> list[float]:
        """Return, for each substitute of one weight, the relative squared change of the outputs on calibration data."""
        return output_changes(self.model, self._known_samples(), map(self._stored, substitutes))

    def _stored(self, substitute: tuple[Target, Floats]) -> tuple[str, Floats]:
        """Return the name of the initializer of a target, and the array in the initializer's layout."""
        target, array = substitute
        weight = self._weights[target.name]
        by_output = weight.layers[0].by_output and target.kind == "linear"
        return weight.initializer, array.T if by_output else array

    def replace(self, factors: Mapping[str, tuple[Factor, ...]]) -> None:
        """Replace weights by factors."""
        rewrite(self.model, list(self._weights.values()), factors)

    def _known_samples(self) -> SampleSet:
        if self._samples is None:
            raise ValueError("the graph has no calibration samples")
        return self._samples


def _collect(target: Target, batches: Iterable[tuple[NDArray[np.generic], NDArray[np.generic] | None]]) -> InputMoments:
    collector = InputCollector(target)
    for values, mask in batches:
        collector.add(values, mask)
    return collector.inputs


def _groups(weights: Sequence[GraphWeight]) -> list[LayerGroup]:
    by_source: dict[str, list[GraphLayer]] = {}
    for weight in weights:
        for layer in weight.layers:
            by_source.setdefault(layer.source, []).append(layer)
    groups = [LayerGroup(source, tuple(layers)) for source, layers in by_source.items()]
    return sorted(groups, key=lambda group: group.first)
