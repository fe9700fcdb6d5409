"""A Transformers model as the stage sees it: its factors can be trained by the stages that follow."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from compression_runner.calibration.sensitivity import WATCHED
from compression_runner.calibration.statistics import MASK
from compression_runner.dataset import SampleSet
from compression_runner.formats.factors import CONVOLUTIONS, factorized
from compression_runner.formats.linear import LinearOfConv1D
from compression_runner.formats.surgery import Surgery, replace
from compression_runner.methods.factorize.decomposition import Factor, Floats, Inputs
from compression_runner.methods.factorize.model import Kind, Target
from compression_runner.methods.factorize.observing import Observed
from compression_runner.training.batches import Batch
from compression_runner.training.holdout import for_task
from compression_runner.training.model import Trainable
from compression_runner.training.positions import SEQUENTIAL

SUFFIX: Final = ".weight"


class CheckpointModel:
    """A model with its task's interface, and calibration samples where there are any."""

    def __init__(self, trainable: Trainable, samples: SampleSet | None) -> None:
        self._trainable = trainable
        self._samples = samples
        self.size_bytes = sum(parameter.numel() * parameter.element_size() for parameter in self._inner.parameters())

    def targets(self) -> list[Target]:
        """The weights of its linear layers, embeddings, and convolutions but for those in groups.

        Classes that derive from these may use weights otherwise.
        """
        tied = set(getattr(self._inner, "all_tied_weights_keys", None) or ())
        modules = list(self._inner.named_modules())
        used = Counter(id(weight) for _, module in modules for weight in module.parameters(recurse=False))
        found = []
        for name, module in modules:
            kind = _kind(module)
            if kind is not None:
                shared = used[id(module.weight)] > 1 or name + SUFFIX in tied
                found.append(_target(name, module, kind, shared=shared))
        return found

    def inputs(self, targets: Sequence[Target]) -> Mapping[str, Inputs]:
        """The inputs of each on the calibration data, by name."""
        observed = {target.name: Observed(target) for target in targets}
        mask: list[Any] = [None]

        def watch(name: str) -> Any:
            def see(_module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
                observed[name].add(given[0].detach().numpy(), mask[0])

            return see

        hooks = [self._module(target.name).register_forward_pre_hook(watch(target.name)) for target in targets]
        try:
            for batch in self._batches(None):
                mask[0] = self._mask(batch)
                self._answers(batch)
        finally:
            for hook in hooks:
                hook.remove()
        return {name: found.inputs for name, found in observed.items() if found.inputs.count}

    def changes(self, substitutes: Iterable[tuple[Target, Floats]]) -> list[float]:
        """How far the outputs on calibration data move, squared and relative, when one weight alone is another."""
        batches = list(self._batches(WATCHED))
        if self._trainable.task in SEQUENTIAL:
            # Their logits are those of every position, and are kept.
            batches = batches[:1]
        expected = [self._answers(batch) for batch in batches]
        scale = max(sum(float((answers**2).sum()) for answers in expected), np.finfo(np.float64).tiny)
        found = []
        for target, array in substitutes:
            with _exchanged(self._module(target.name), _stored(target, array)):
                got = [self._answers(batch) for batch in batches]
            moved = sum(float(((new - old) ** 2).sum()) for new, old in zip(got, expected, strict=True))
            found.append(moved / scale)
        return found

    def replace(self, factors: Mapping[str, tuple[Factor, ...]]) -> None:
        """Puts factorized modules in the place of those that had these weights."""
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
            raise ValueError("a model without calibration samples cannot be observed")
        samples = self._samples.only(list(range(min(limit or len(self._samples), len(self._samples)))))
        yield from for_task(samples, self._trainable.interface.inputs, self._trainable.task)

    def _mask(self, batch: Batch) -> Any:
        named = dict(zip(self._trainable.interface.inputs, batch.inputs, strict=True))
        return named[MASK].numpy() if MASK in named else None

    def _answers(self, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            answers: torch.Tensor = self._trainable.module(*batch.inputs).double()
        return answers


def _kind(module: nn.Module) -> Kind | None:
    if type(module) in (nn.Linear, LinearOfConv1D):
        return "linear"
    if type(module) is nn.Embedding:
        return "embedding"
    # What pads otherwise than with zeros pads before its first kernel alone.
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
    """What is written down of a module that becomes factors."""
    if type(old) in CONVOLUTIONS:
        kernels = [{"shape": list(factor.array.shape), "axes": list(factor.axes)} for factor in factors]
        return {"kind": "factorized-convolution", "kernels": kernels}
    kind = "factorized-linear" if isinstance(old, nn.Linear) else "factorized-embedding"
    return {"kind": kind, "rank": int(factors[0].array.shape[1])}


@contextmanager
def _exchanged(module: Any, weight: torch.Tensor) -> Iterator[None]:
    """The module with another weight, for a while."""
    before = module.weight.data
    module.weight.data = weight
    try:
        yield
    finally:
        module.weight.data = before
