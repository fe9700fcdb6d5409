"""Accuracy of both models on adversarial inputs, made against either model."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.answers.model import Both
from compression_runner.evaluation.quality.comparison import Classes
from compression_runner.evaluation.robustness.gradients import BATCH, estimated_gradient, module_gradient
from compression_runner.evaluation.robustness.perturbation_setup import PerturbationSetup, figures_of, generator_of
from compression_runner.evaluation.robustness.pgd import Gradient, attack
from compression_runner.evaluation.robustness.space import inputs_of, with_inputs
from compression_runner.inference.similarity import Floats
from compressionjob.trust_limits import AttackLimit
from compressionjob.trust_report import DisturbedFigures

SIDES: Final = ("baseline", "result")


def attackers(models: Both, *, same: bool) -> list[int]:
    """Return the models whose gradients are used: those with a checkpoint; all, by their answers, if none has one.

    A model that is only quantized has no checkpoint of its own: the baseline's gradients serve for it.
    """
    mine = range(1) if same else range(2)
    return [number for number in mine if models[number].checkpoint or not models[0].checkpoint]


def under_attack(limit: AttackLimit, setup: PerturbationSetup, confidence: float) -> DisturbedFigures:
    """Return the accuracy of both models under attack.

    An answer counts as right if it is right for the clean input and for every adversarial input made from it. Both
    models get the inputs that were made with either model's gradients.
    """
    space = setup.numbers
    gradients = _gradients(limit, setup)
    right = list(setup.clean)
    for number, (_, gradient) in enumerate(gradients):
        arrays = _attacked(limit, setup, gradient, number)
        answered = setup.right(with_inputs(setup.data, space, arrays))
        right = [before & now for before, now in zip(right, answered, strict=True)]
    shares = setup.shares((right[0], right[1]), confidence)
    method = f"{limit.steps} steps with {' and '.join(name for name, _ in gradients)}; both models answered all inputs"
    return figures_of("attack", limit.method, limit.epsilon, space.unit_name, shares, method)


def _gradients(limit: AttackLimit, setup: PerturbationSetup) -> list[tuple[str, Gradient]]:
    """Return the gradients that adversarial inputs are made with, each with its name for the report."""
    gradients: list[tuple[str, Gradient]] = []
    for number in attackers(setup.models, same=setup.same):
        checkpoint = setup.models[number].checkpoint
        if checkpoint is not None:
            name = ("gradients of the baseline", "gradients of the result's last float checkpoint")[number]
            gradients.append((name, module_gradient(checkpoint(), setup.models[number].task)))
        else:
            name = f"gradients of the {SIDES[number]} estimated from its answers (SPSA)"
            generator = generator_of("directions", number)
            gradients.append(
                (name, estimated_gradient(_scores_of(setup, number), setup.numbers, limit.epsilon, generator))
            )
    return gradients


def _scores_of(setup: PerturbationSetup, number: int) -> Callable[[Floats], Floats]:
    """Return the class scores for gradient estimates, in large batches; only the final inputs use the served size."""
    return lambda inputs: setup.models[number].scores(with_inputs(setup.data, setup.numbers, list(inputs)), BATCH)


def _attacked(
    limit: AttackLimit, setup: PerturbationSetup, gradient: Gradient, number: int
) -> Sequence[NDArray[np.generic]]:
    """Return an adversarial input for every sample; inputs of one shape are attacked together."""
    space = setup.numbers
    arrays = inputs_of(setup.data, space)
    attacked: list[NDArray[np.generic]] = list(arrays)
    shapes = sorted({array.shape for array in arrays})

    def counted(inputs: Floats, labels: Classes) -> Floats:
        slope = gradient(inputs, labels)
        if inputs.shape[1:] == shapes[0]:
            setup.tick()
        return slope

    for position, shape in enumerate(shapes):
        rows = [row for row, array in enumerate(arrays) if array.shape == shape]
        stacked = np.stack([arrays[row] for row in rows])
        generator = generator_of("start", number, position)
        changed = attack(stacked, setup.labels[rows], space, limit.epsilon, limit.steps, counted, generator)
        for row, array in zip(rows, changed, strict=True):
            attacked[row] = array
    return attacked
