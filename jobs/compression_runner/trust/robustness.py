"""Right answers of both models to noisy, corrupted and attacked inputs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.measurement.quality import Classes, class_answers
from compression_runner.trust.corruptions import corrupted
from compression_runner.trust.gradients import BATCH, estimated_gradient, module_gradient
from compression_runner.trust.noise import noisy
from compression_runner.trust.pgd import Gradient, attack
from compression_runner.trust.shares import Marks, Shares, each_of, identical, shares, worst_loss, worst_score
from compression_runner.trust.space import Floats, Space, inputs_of, space_of, with_inputs
from compression_runner.trust.subject import Both, spread
from compression_runner.trust.typos import misspelt
from compressionjob.estimate import Estimate
from compressionjob.tasks import TASKS
from compressionjob.trust_limits import (
    CORRUPTIONS,
    AttackLimit,
    Corruption,
    CorruptionLimit,
    NoiseLimit,
    RobustnessLimit,
)
from compressionjob.trust_report import Disturbance, DisturbedFigures, RobustnessReport

SEED: Final = 20261125
SIDES: Final = ("baseline", "result")


@dataclass(frozen=True)
class Bench:
    """Both models, the samples that are disturbed, and what is right for them; `same` where the models are one."""

    models: Both
    data: SampleSet
    labels: Classes
    clean: tuple[Marks, Marks]
    same: bool

    def right(self, data: SampleSet) -> tuple[Marks, Marks]:
        """Return which of other inputs for the same samples each model answers rightly."""
        before = class_answers(self.models[0].scores(data)) == self.labels
        after = before if self.same else class_answers(self.models[1].scores(data)) == self.labels
        return before, after

    def shares(self, right: tuple[Marks, Marks], confidence: float) -> Shares:
        """Return the shares of right answers."""
        found = shares(*right, confidence)
        return identical(found) if self.same else found


def robustness(
    limit: RobustnessLimit,
    models: Both,
    data: SampleSet,
    clean: tuple[Floats, Floats],
    confidence: float,
    *,
    same: bool,
    advance: Callable[[float], None],
) -> tuple[RobustnessReport, dict[str, Estimate]]:
    """Disturb samples as a job asks; `clean` are both models' scores (samples, classes) of all data.

    Returns the report, and the estimates by what the objective's name ends in (noise.drop). `advance` is told the share
    that is done.
    """
    rows = spread(len(data), limit.samples)
    part = data.only(rows)
    answered = [class_answers(side[rows]) for side in clean]
    labels = answered[0] if part.labels is None else part.labels.astype(np.int64)
    bench = Bench(models, part, labels, (answered[0] == labels, answered[1] == labels), same)
    undisturbed = bench.shares(bench.clean, confidence)
    found: list[DisturbedFigures] = []
    estimates: dict[str, Estimate] = {}
    for done, name in enumerate(limit.parts()):
        figures = list(_disturbed(name, limit, bench, data, confidence))
        found += figures
        estimates[f"{name}.score"] = worst_score([item.compressed for item in figures])
        estimates[f"{name}.drop"] = worst_loss([item.drop for item in figures])
        advance((done + 1) / len(limit.parts()))
    judged: Literal["labels", "the baseline's answers"] = "the baseline's answers" if part.labels is None else "labels"
    report = RobustnessReport(
        judged_by=judged,
        samples=len(rows),
        baseline_clean=undisturbed.baseline,
        compressed_clean=undisturbed.compressed,
        disturbed=found,
    )
    return report, estimates


def _disturbed(
    name: str, limit: RobustnessLimit, bench: Bench, data: SampleSet, confidence: float
) -> Iterator[DisturbedFigures]:
    if name == "noise" and limit.noise:
        yield _under_noise(limit.noise, bench, _space(bench, data), confidence)
    elif name == "corruption" and limit.corruption:
        yield from _under_corruption(limit.corruption, bench, data, confidence)
    elif name == "attack" and limit.attack:
        yield _under_attack(limit.attack, bench, _space(bench, data), confidence)


def _space(bench: Bench, data: SampleSet) -> Space:
    return space_of(data, TASKS[bench.models[0].task].content)


def _under_noise(limit: NoiseLimit, bench: Bench, space: Space, confidence: float) -> DisturbedFigures:
    arrays = [
        noisy(array, space, limit.level, _generator("noise", row))
        for row, array in enumerate(inputs_of(bench.data, space))
    ]
    found = bench.shares(bench.right(with_inputs(bench.data, space, arrays)), confidence)
    method = "Gaussian noise, drawn once for both models"
    return _figures("noise", "gaussian", limit.level, space.unit_name, found, method)


def _under_corruption(
    limit: CorruptionLimit, bench: Bench, data: SampleSet, confidence: float
) -> Iterator[DisturbedFigures]:
    """Yield each kind with an interval that holds together with those of the others."""
    content = TASKS[bench.models[0].task].content
    kinds = limit.kinds or CORRUPTIONS[content]
    level = each_of(len(kinds), confidence)
    for kind in kinds:
        changed = _misspelt(bench.data, limit.severity) if kind == "typos" else _corrupted(bench, data, kind, limit)
        found = bench.shares(bench.right(changed), level)
        yield _figures("corruption", kind, limit.severity, "of 5", found, "the same inputs for both models")


def _corrupted(bench: Bench, data: SampleSet, kind: Corruption, limit: CorruptionLimit) -> SampleSet:
    space = _space(bench, data)
    arrays = [
        corrupted(kind, array, space, limit.severity, _generator(kind, row))
        for row, array in enumerate(inputs_of(bench.data, space))
    ]
    return with_inputs(bench.data, space, arrays)


def _misspelt(data: SampleSet, severity: int) -> SampleSet:
    if data.texts is None:
        raise ValueError("samples of a text task are made of texts")
    rows = [misspelt(text, severity, _generator("typos", row)) for row, text in enumerate(data.texts.rows)]
    return replace(data, samples=data.texts.tokens(rows))


def _under_attack(limit: AttackLimit, bench: Bench, space: Space, confidence: float) -> DisturbedFigures:
    """A model's answer counts as right where it is right for the input itself and for every input that was made of it:
    those made with either model's gradients are given to both.
    """
    gradients = _gradients(limit, bench, space)
    right = list(bench.clean)
    for number, (_, gradient) in enumerate(gradients):
        arrays = _attacked(limit, bench, space, gradient, number)
        answered = bench.right(with_inputs(bench.data, space, arrays))
        right = [before & now for before, now in zip(right, answered, strict=True)]
    found = bench.shares((right[0], right[1]), confidence)
    told = f"{limit.steps} steps with {' and '.join(name for name, _ in gradients)}; both models answered all inputs"
    return _figures("attack", limit.method, limit.epsilon, space.unit_name, found, told)


def _gradients(limit: AttackLimit, bench: Bench, space: Space) -> list[tuple[str, Gradient]]:
    """Whose gradients inputs are made with, and how they are come by."""
    found: list[tuple[str, Gradient]] = []
    models = bench.models[:1] if bench.same else bench.models
    for number, (side, model) in enumerate(zip(SIDES, models, strict=False)):
        if model.checkpoint is not None:
            told = "gradients of the baseline" if number == 0 else "gradients of the result's last float checkpoint"
            found.append((told, module_gradient(model.checkpoint(), model.task)))
        elif bench.models[0].checkpoint is None:

            def scores(inputs: Floats, number: int = number) -> Floats:
                # In large batches, since nothing is judged yet; what comes of it is answered as it will be served.
                return bench.models[number].scores(with_inputs(bench.data, space, list(inputs)), BATCH)

            estimate = estimated_gradient(scores, space, limit.epsilon, _generator("directions", number))
            found.append((f"gradients of the {side} estimated from its answers (SPSA)", estimate))
    return found


def _attacked(
    limit: AttackLimit, bench: Bench, space: Space, gradient: Gradient, number: int
) -> Sequence[NDArray[np.generic]]:
    """Return an attacked input for every sample; those of one shape are attacked together."""
    inputs = inputs_of(bench.data, space)
    found: list[NDArray[np.generic]] = list(inputs)
    for position, shape in enumerate(sorted({array.shape for array in inputs})):
        rows = [row for row, array in enumerate(inputs) if array.shape == shape]
        stacked = np.stack([inputs[row] for row in rows])
        generator = _generator("start", number, position)
        changed = attack(stacked, bench.labels[rows], space, limit.epsilon, limit.steps, gradient, generator)
        for row, array in zip(rows, changed, strict=True):
            found[row] = array
    return found


def _figures(
    disturbance: Disturbance, kind: str, severity: float, unit: str, found: Shares, method: str
) -> DisturbedFigures:
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


def _generator(name: str, *numbers: int) -> np.random.Generator:
    """Return the generator of one sample: what is drawn for it depends on no other."""
    return np.random.default_rng([SEED, *name.encode(), *numbers])
