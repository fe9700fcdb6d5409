"""What every disturbance needs: the models, the samples, what is right for them, and how it is told."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from compression_runner.dataset import SampleSet
from compression_runner.evaluation.answers.model import Both
from compression_runner.evaluation.quality.comparison import Classes, class_answers
from compression_runner.evaluation.robustness.space import Space
from compression_runner.evaluation.statistics.paired_shares import Marks, Shares, identical, shares
from compressionjob.trust_report import Disturbance, DisturbedFigures

SEED: Final = 20261125


class Ticks:
    """Counts what is done of `total`, and tells the share."""

    def __init__(self, total: int, advance: Callable[[float], None]) -> None:
        self._total, self._advance, self._done = total, advance, 0

    def __call__(self) -> None:
        """Count one more."""
        self._done += 1
        self._advance(min(1.0, self._done / self._total))


@dataclass(frozen=True)
class Bench:
    """Both models, the samples that are disturbed, and what is right for them; `same` where the models are one.

    `clean` says which are answered rightly undisturbed; inputs of numbers have a `space`.
    """

    models: Both
    data: SampleSet
    labels: Classes
    clean: tuple[Marks, Marks]
    same: bool
    space: Space | None
    tick: Ticks

    @property
    def numbers(self) -> Space:
        """The space of inputs of numbers."""
        if self.space is None:
            raise ValueError("these inputs are no numbers")
        return self.space

    def right(self, data: SampleSet) -> tuple[Marks, Marks]:
        """Return which of other inputs for the same samples each model answers rightly."""
        before = class_answers(self.models[0].scores(data)) == self.labels
        after = before if self.same else class_answers(self.models[1].scores(data)) == self.labels
        return before, after

    def shares(self, right: tuple[Marks, Marks], confidence: float) -> Shares:
        """Return the shares of right answers."""
        found = shares(*right, confidence)
        return identical(found) if self.same else found


def figures_of(
    disturbance: Disturbance, kind: str, severity: float, unit: str, found: Shares, method: str
) -> DisturbedFigures:
    """Return what is told of one disturbance."""
    return DisturbedFigures(
        disturbance=disturbance,
        kind=kind,
        severity=severity,
        unit=unit,
        baseline=found.baseline,
        compressed=found.compressed,
        drop=found.drop,
        method=method,
    )


def generator_of(name: str, *numbers: int) -> np.random.Generator:
    """Return the generator of one sample: what is drawn for it depends on no other."""
    return np.random.default_rng([SEED, *name.encode(), *numbers])
