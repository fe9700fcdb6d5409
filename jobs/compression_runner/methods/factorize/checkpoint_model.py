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
from compression_runner.formats.surgery import FactorizedEmbedding, FactorizedLinear, Surgery, replace
from compression_runner.methods.factorize.decomposition import Factor, Floats, Inputs
from compression_runner.methods.factorize.model import Target
from compression_runner.methods.factorize.observing import Observed
from compression_runner.training.batches import Batch
from compression_runner.training.holdout import whole
from compression_runner.training.model import Trainable

SUFFIX: Final = ".weight"


class CheckpointModel:
    """A model with its task's interface, and calibration samples where there are any."""

    def __init__(self, trainable: Trainable, samples: SampleSet | None) -> None:
        self._trainable = trainable
        self._samples = samples
        self.size_bytes = sum(parameter.numel() * parameter.element_size() for parameter in self._inner.parameters())

    def targets(self) -> list[Target]:
        """The weights of its linear layers and embeddings; classes that derive from these may use weights otherwise."""
        tied = set(getattr(self._inner, "all_tied_weights_keys", None) or ())
        modules = list(self._inner.named_modules())
        used = Counter(id(weight) for _, module in modules for weight in module.parameters(recurse=False))
        found = []
        for name, module in modules:
            if type(module) is not nn.Linear and type(module) is not nn.Embedding:
                continue
            shared = used[id(module.weight)] > 1 or name + SUFFIX in tied
            found.append(_target(name, module, shared=shared))
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
        for name, (first, second) in factors.items():
            path, old = name.removesuffix(SUFFIX), self._module(name)
            rank = first.array.shape[1]
            new = _factorized(old, rank)
            with torch.no_grad():
                new.first.weight.copy_(torch.from_numpy(_first(old, first.array)))
                new.second.weight.copy_(torch.from_numpy(np.ascontiguousarray(second.array.T)))
                if isinstance(old, nn.Linear) and old.bias is not None:
                    new.second.bias.copy_(old.bias)
            replace(self._inner, path, new.train(False))
            kind = "factorized-linear" if isinstance(old, nn.Linear) else "factorized-embedding"
            changed[path] = {"kind": kind, "rank": rank}
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
        yield from whole(samples, self._trainable.interface.inputs)

    def _mask(self, batch: Batch) -> Any:
        named = dict(zip(self._trainable.interface.inputs, batch.inputs, strict=True))
        return named[MASK].numpy() if MASK in named else None

    def _answers(self, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            answers: torch.Tensor = self._trainable.module(*batch.inputs).double()
        return answers


def _target(name: str, module: nn.Linear | nn.Embedding, *, shared: bool) -> Target:
    weight = module.weight
    linear = isinstance(module, nn.Linear)
    shape = tuple(reversed(weight.shape)) if linear else tuple(weight.shape)

    def load() -> Floats:
        array: Floats = weight.detach().numpy()
        return array.T if linear else array

    return Target(name + SUFFIX, "linear" if linear else "embedding", shape, weight.element_size(), load, shared=shared)


def _stored(target: Target, array: Floats) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.T if target.kind == "linear" else array))


def _factorized(old: nn.Module, rank: int) -> Any:
    if isinstance(old, nn.Linear):
        return FactorizedLinear(old.in_features, rank, old.out_features, bias=old.bias is not None)
    if isinstance(old, nn.Embedding):
        return FactorizedEmbedding(old.num_embeddings, rank, old.embedding_dim, old.padding_idx)
    raise TypeError(f"a {type(old).__name__} is not factorized")


def _first(old: nn.Module, array: Floats) -> Floats:
    return np.ascontiguousarray(array.T if isinstance(old, nn.Linear) else array)


@contextmanager
def _exchanged(module: Any, weight: torch.Tensor) -> Iterator[None]:
    """The module with another weight, for a while."""
    before = module.weight.data
    module.weight.data = weight
    try:
        yield
    finally:
        module.weight.data = before
