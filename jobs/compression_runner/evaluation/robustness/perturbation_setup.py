"""The inputs of every robustness measurement: models, samples and labels, and the report's figures."""

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


class ProgressCounter:
    """Counts steps of `total`, and reports the share that is done."""

    def __init__(self, total: int, advance: Callable[[float], None]) -> None:
        self._total, self._advance, self._done = total, advance, 0

    def __call__(self) -> None:
        """Count one more step."""
        self._done += 1
        self._advance(min(1.0, self._done / self._total))


@dataclass(frozen=True)
class PerturbationSetup:
    """Both models, the samples to perturb, and their labels; `same` if the models are identical.

    `clean` marks the samples that each model answers rightly without perturbation. Numeric inputs have a `space`.
    """

    models: Both
    data: SampleSet
    labels: Classes
    clean: tuple[Marks, Marks]
    same: bool
    space: Space | None
    tick: ProgressCounter

    @property
    def numbers(self) -> Space:
        """The input space. Raises ValueError for inputs that are not numeric."""
        if self.space is None:
            raise ValueError("the inputs are not numeric")
        return self.space

    def right(self, data: SampleSet) -> tuple[Marks, Marks]:
        """Return which samples each model answers rightly, given other inputs for them."""
        before = class_answers(self.models[0].scores(data)) == self.labels
        after = before if self.same else class_answers(self.models[1].scores(data)) == self.labels
        return before, after

    def shares(self, right: tuple[Marks, Marks], confidence: float) -> Shares:
        """Return the shares of right answers."""
        measured = shares(*right, confidence)
        return identical(measured) if self.same else measured


def figures_of(
    disturbance: Disturbance, kind: str, severity: float, unit: str, right: Shares, method: str
) -> DisturbedFigures:
    """Return the report's figures of one perturbation."""
    return DisturbedFigures(
        disturbance=disturbance,
        kind=kind,
        severity=severity,
        unit=unit,
        baseline=right.baseline,
        compressed=right.compressed,
        drop=right.drop,
        method=method,
    )


def generator_of(name: str, *numbers: int) -> np.random.Generator:
    """Return a random generator that depends only on its name and numbers, not on other samples."""
    return np.random.default_rng([SEED, *name.encode(), *numbers])
