"""Accuracy of both models on noisy, corrupted and attacked inputs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from compression_runner.dataset import SampleSet
from compression_runner.evaluation.answers.model import Both, spread
from compression_runner.evaluation.quality.comparison import class_answers
from compression_runner.evaluation.request import texts_of
from compression_runner.evaluation.robustness.attacking import attackers, under_attack
from compression_runner.evaluation.robustness.corruptions import corrupted
from compression_runner.evaluation.robustness.noise import noisy
from compression_runner.evaluation.robustness.perturbation_setup import (
    PerturbationSetup,
    ProgressCounter,
    figures_of,
    generator_of,
)
from compression_runner.evaluation.robustness.space import inputs_of, space_of, with_inputs
from compression_runner.evaluation.robustness.typos import misspelt
from compression_runner.evaluation.statistics.paired_shares import each_of, worst_loss, worst_score
from compression_runner.inference.similarity import Floats
from compressionjob.estimate import Estimate
from compressionjob.tasks import TASKS
from compressionjob.trust_limits import (
    CORRUPTIONS,
    Corruption,
    CorruptionLimit,
    NoiseLimit,
    RobustnessLimit,
)
from compressionjob.trust_report import DisturbedFigures, RobustnessReport


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
    """Perturb samples as a job requests; `clean` are both models' scores (samples, classes) of all data.

    Returns the report, and the estimates by the end of the objective's name (noise.drop). `advance` receives the share
    that is done.
    """
    rows = spread(len(data), limit.samples)
    part = data.only(rows)
    answered = [class_answers(side[rows]) for side in clean]
    labels = answered[0] if part.labels is None else part.labels.astype(np.int64)
    content = TASKS[models[0].task].content
    space = None if content == "text" else space_of(data, content)
    tick = ProgressCounter(_units(limit, models, same=same), advance)
    setup = PerturbationSetup(models, part, labels, (answered[0] == labels, answered[1] == labels), same, space, tick)
    undisturbed = setup.shares(setup.clean, confidence)
    disturbed: list[DisturbedFigures] = []
    estimates: dict[str, Estimate] = {}
    for name in limit.parts():
        figures = list(_disturbed(name, limit, setup, confidence))
        disturbed += figures
        estimates[f"{name}.score"] = worst_score([item.compressed for item in figures])
        estimates[f"{name}.drop"] = worst_loss([item.drop for item in figures])
    judged: Literal["labels", "the baseline's answers"] = "the baseline's answers" if part.labels is None else "labels"
    report = RobustnessReport(
        judged_by=judged,
        samples=len(rows),
        baseline_clean=undisturbed.baseline,
        compressed_clean=undisturbed.compressed,
        disturbed=disturbed,
    )
    return report, estimates


def _units(limit: RobustnessLimit, models: Both, *, same: bool) -> int:
    """Return the number of progress steps."""
    kinds = len(_kinds(limit.corruption, models)) if limit.corruption else 0
    attacks = limit.attack.steps * len(attackers(models, same=same)) if limit.attack else 0
    return bool(limit.noise) + kinds + attacks


def _kinds(limit: CorruptionLimit, models: Both) -> Sequence[Corruption]:
    return limit.kinds or CORRUPTIONS[TASKS[models[0].task].content]


def _disturbed(
    name: str, limit: RobustnessLimit, setup: PerturbationSetup, confidence: float
) -> Iterator[DisturbedFigures]:
    if name == "noise" and limit.noise:
        yield _under_noise(limit.noise, setup, confidence)
    elif name == "corruption" and limit.corruption:
        yield from _under_corruption(limit.corruption, setup, confidence)
    elif name == "attack" and limit.attack:
        yield under_attack(limit.attack, setup, confidence)


def _under_noise(limit: NoiseLimit, setup: PerturbationSetup, confidence: float) -> DisturbedFigures:
    space = setup.numbers
    arrays = [
        noisy(array, space, limit.level, generator_of("noise", row))
        for row, array in enumerate(inputs_of(setup.data, space))
    ]
    shares = setup.shares(setup.right(with_inputs(setup.data, space, arrays)), confidence)
    setup.tick()
    method = "Gaussian noise, drawn once for both models"
    return figures_of("noise", "gaussian", limit.level, space.unit_name, shares, method)


def _under_corruption(
    limit: CorruptionLimit, setup: PerturbationSetup, confidence: float
) -> Iterator[DisturbedFigures]:
    """Yield the figures of each kind; the intervals hold together (Bonferroni)."""
    kinds = _kinds(limit, setup.models)
    level = each_of(len(kinds), confidence)
    for kind in kinds:
        changed = _misspelt(setup.data, limit.severity) if kind == "typos" else _corrupted(setup, kind, limit)
        shares = setup.shares(setup.right(changed), level)
        setup.tick()
        yield figures_of("corruption", kind, limit.severity, "of 5", shares, "the same inputs for both models")


def _corrupted(setup: PerturbationSetup, kind: Corruption, limit: CorruptionLimit) -> SampleSet:
    space = setup.numbers
    arrays = [
        corrupted(kind, array, space, limit.severity, generator_of(kind, row))
        for row, array in enumerate(inputs_of(setup.data, space))
    ]
    return with_inputs(setup.data, space, arrays)


def _misspelt(data: SampleSet, severity: int) -> SampleSet:
    texts = texts_of(data)
    rows = [misspelt(text, severity, generator_of("typos", row)) for row, text in enumerate(texts.rows)]
    return replace(data, samples=texts.tokens(rows))
