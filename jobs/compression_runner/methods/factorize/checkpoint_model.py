"""A Transformers model as a `Factorizable`; later stages can train its factors."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from compression_runner.calibration.sensitivity import MAX_SAMPLES
from compression_runner.calibration.statistics import MASK
from compression_runner.dataset import SampleSet
from compression_runner.formats.factors import CONVOLUTIONS, factorized
from compression_runner.formats.linear import LinearOfConv1D
from compression_runner.formats.surgery import Surgery, replace
from compression_runner.methods.factorize.decomposition import Factor, Floats, InputMoments
from compression_runner.methods.factorize.input_collector import InputCollector
from compression_runner.methods.factorize.model import Kind, Target
from compression_runner.training.batches import Batch
from compression_runner.training.holdout import batches_for_task
from compression_runner.training.model import Trainable
from compression_runner.training.positions import SEQUENTIAL

SUFFIX: Final = ".weight"


class CheckpointModel:
    """A model with the interface of its task, and calibration samples or None."""

    def __init__(self, trainable: Trainable, samples: SampleSet | None) -> None:
        self._trainable = trainable
        self._samples = samples
        self.size_bytes = sum(parameter.numel() * parameter.element_size() for parameter in self._inner.parameters())

    def targets(self) -> list[Target]:
        """Return the weights of linear layers, embeddings, and convolutions without groups.

        Derived classes are skipped: they may use their weights in other ways.
        """
        tied = set(getattr(self._inner, "all_tied_weights_keys", None) or ())
        modules = list(self._inner.named_modules())
        used = Counter(id(weight) for _, module in modules for weight in module.parameters(recurse=False))
        targets = []
        for name, module in modules:
            kind = _kind(module)
            if kind is not None:
                shared = used[id(module.weight)] > 1 or name + SUFFIX in tied
                targets.append(_target(name, module, kind, shared=shared))
        return targets

    def inputs(self, targets: Sequence[Target]) -> Mapping[str, InputMoments]:
        """Return name -> moments of the inputs on the calibration data."""
        collectors = {target.name: InputCollector(target) for target in targets}
        mask: list[Any] = [None]

        def hook_for(name: str) -> Any:
            def collect(_module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
                collectors[name].add(arguments[0].detach().numpy(), mask[0])

            return collect

        hooks = [self._module(target.name).register_forward_pre_hook(hook_for(target.name)) for target in targets]
        try:
            for batch in self._batches(None):
                mask[0] = self._mask(batch)
                self._outputs(batch)
        finally:
            for hook in hooks:
                hook.remove()
        return {name: collector.inputs for name, collector in collectors.items() if collector.inputs.count}

    def changes(self, substitutes: Iterable[tuple[Target, Floats]]) -> list[float]:
        """Return, for each substitute of one weight, the relative squared change of the outputs on calibration data."""
        batches = list(self._batches(MAX_SAMPLES))
        if self._trainable.task in SEQUENTIAL:
            # Their logits of every position stay in memory.
            batches = batches[:1]
        expected = [self._outputs(batch) for batch in batches]
        scale = max(sum(float((answers**2).sum()) for answers in expected), np.finfo(np.float64).tiny)
        changes = []
        for target, array in substitutes:
            with _substituted(self._module(target.name), _stored(target, array)):
                outputs = [self._outputs(batch) for batch in batches]
            change = sum(float(((new - old) ** 2).sum()) for new, old in zip(outputs, expected, strict=True))
            changes.append(change / scale)
        return changes

    def replace(self, factors: Mapping[str, tuple[Factor, ...]]) -> None:
        """Replace the modules of these weights by factorized modules."""
        changed: dict[str, dict[str, Any]] = {}
        for name, parts in factors.items():
            path, old = name.removesuffix(SUFFIX), self._module(name)
            change = _change(old, parts)
            new = factorized(old, change)
            layers: list[Any] = list(new.children())
            with torch.no_grad():
                for layer, part in zip(layers, parts, strict=True):
                    array = part.array.T if isinstance(layer, nn.Linear) else part.array
                    layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(array)))
                if getattr(old, "bias", None) is not None:
                    layers[-1].bias.copy_(old.bias)
            replace(self._inner, path, new.train(False))
            changed[path] = change
        self._trainable.changes = (self._trainable.changes or Surgery()).with_modules(changed)

    @property
    def _inner(self) -> nn.Module:
        return self._trainable.inner

    def _module(self, name: str) -> Any:
        return self._inner.get_submodule(name.removesuffix(SUFFIX))

    def _batches(self, limit: int | None) -> Iterator[Batch]:
        if self._samples is None:
            raise ValueError("the model has no calibration samples")
        samples = self._samples.only(list(range(min(limit or len(self._samples), len(self._samples)))))
        yield from batches_for_task(samples, self._trainable.interface.inputs, self._trainable.task)

    def _mask(self, batch: Batch) -> Any:
        named = dict(zip(self._trainable.interface.inputs, batch.inputs, strict=True))
        return named[MASK].numpy() if MASK in named else None

    def _outputs(self, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            answers: torch.Tensor = self._trainable.module(*batch.inputs).double()
        return answers


def _kind(module: nn.Module) -> Kind | None:
    if type(module) in (nn.Linear, LinearOfConv1D):
        return "linear"
    if type(module) is nn.Embedding:
        return "embedding"
    # With padding other than zeros, only the first kernel would be padded right.
    plain = type(module) in CONVOLUTIONS and module.groups == 1 and module.padding_mode == "zeros"
    return "convolution" if plain else None


def _target(name: str, module: Any, kind: Kind, *, shared: bool) -> Target:
    weight = module.weight
    linear = kind == "linear"
    shape = tuple(reversed(weight.shape)) if linear else tuple(weight.shape)

    def load() -> Floats:
        array: Floats = weight.detach().numpy()
        return array.T if linear else array

    return Target(name + SUFFIX, kind, shape, weight.element_size(), load, shared=shared)


def _stored(target: Target, array: Floats) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.T if target.kind == "linear" else array))


def _change(old: nn.Module, factors: Sequence[Factor]) -> dict[str, Any]:
    """Return the entry of surgery.json for a factorized module."""
    if type(old) in CONVOLUTIONS:
        kernels = [{"shape": list(factor.array.shape), "axes": list(factor.axes)} for factor in factors]
        return {"kind": "factorized-convolution", "kernels": kernels}
    kind = "factorized-linear" if isinstance(old, nn.Linear) else "factorized-embedding"
    return {"kind": kind, "rank": int(factors[0].array.shape[1])}


@contextmanager
def _substituted(module: Any, weight: torch.Tensor) -> Iterator[None]:
    """Replace the weight of a module within the context."""
    before = module.weight.data
    module.weight.data = weight
    try:
        yield
    finally:
        module.weight.data = before
