"""An ONNX graph as the stage sees it."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from compression_runner.calibration.feeding import feeds
from compression_runner.calibration.layers import Layer, LayerGroup
from compression_runner.calibration.sensitivity import output_changes
from compression_runner.calibration.statistics import MASK
from compression_runner.calibration.walking import Walk
from compression_runner.dataset import SampleSet
from compression_runner.methods.factorize.decomposition import Factor, Floats, Inputs
from compression_runner.methods.factorize.graph_rewriting import rewrite
from compression_runner.methods.factorize.graph_weights import GraphWeight, find_weights
from compression_runner.methods.factorize.model import Kind, Target
from compression_runner.methods.factorize.observing import Observed


class GraphModel:
    """A graph, the size of its files, and calibration samples where there are any."""

    def __init__(self, model: onnx.ModelProto, size_bytes: int, samples: SampleSet | None) -> None:
        self.model = model
        self.size_bytes = size_bytes
        self._samples = samples
        self._weights = {weight.target.name: weight for weight in find_weights(model)}

    def targets(self) -> list[Target]:
        """Its weights, in the order of the graph."""
        return [weight.target for weight in self._weights.values()]

    def inputs(self, targets: Sequence[Target]) -> Mapping[str, Inputs]:
        """The inputs of each on the calibration data, by name."""
        batches = feeds(self.model, self._known_samples())
        weights = [self._weights[target.name] for target in targets]
        masks = [batch.get(MASK) for batch in batches]
        found: dict[str, Inputs] = {}
        for group, values in Walk(self.model, batches).groups(_groups(weights)):
            here = [weight for weight in weights if any(layer in group.layers for layer in weight.layers)]
            # A table and a product of one value differ; layers of one kind that share it share what is observed.
            known: dict[Kind, Inputs] = {}
            for weight in here:
                target = weight.target
                if target.kind not in known:
                    known[target.kind] = _observe(target, zip(values, masks, strict=True))
                for _ in (layer for layer in weight.layers if layer in group.layers):
                    seen = found.get(target.name)
                    found[target.name] = known[target.kind] if seen is None else seen + known[target.kind]
        return {name: inputs for name, inputs in found.items() if inputs.count}

    def changes(self, substitutes: Iterable[tuple[Target, Floats]]) -> list[float]:
        """How far the outputs on calibration data move, squared and relative, when one weight alone is another."""
        return output_changes(self.model, self._known_samples(), map(self._stored, substitutes))

    def _stored(self, substitute: tuple[Target, Floats]) -> tuple[str, Floats]:
        """The name of a target's initializer, and an array as it lies there."""
        target, array = substitute
        weight = self._weights[target.name]
        by_output = weight.layers[0].by_output and target.kind == "linear"
        return weight.initializer, array.T if by_output else array

    def replace(self, factors: Mapping[str, tuple[Factor, ...]]) -> None:
        """Puts factors in the place of weights."""
        rewrite(self.model, list(self._weights.values()), factors)

    def _known_samples(self) -> SampleSet:
        if self._samples is None:
            raise ValueError("a graph without calibration samples cannot be observed")
        return self._samples


def _observe(target: Target, batches: Iterable[tuple[NDArray[np.generic], NDArray[np.generic] | None]]) -> Inputs:
    observed = Observed(target)
    for values, mask in batches:
        observed.add(values, mask)
    return observed.inputs


def _groups(weights: Sequence[GraphWeight]) -> list[LayerGroup]:
    by_source: dict[str, list[Layer]] = {}
    for weight in weights:
        for layer in weight.layers:
            by_source.setdefault(layer.source, []).append(layer)
    groups = [LayerGroup(source, tuple(layers)) for source, layers in by_source.items()]
    return sorted(groups, key=lambda group: group.first)
