"""Right answers of both models to inputs that were changed to be answered wrongly by one of them."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.answers.model import Both
from compression_runner.evaluation.quality.comparison import Classes
from compression_runner.evaluation.robustness.bench import Bench, figures_of, generator_of
from compression_runner.evaluation.robustness.gradients import BATCH, estimated_gradient, module_gradient
from compression_runner.evaluation.robustness.pgd import Gradient, attack
from compression_runner.evaluation.robustness.space import inputs_of, with_inputs
from compression_runner.inference.similarity import Floats
from compressionjob.trust_limits import AttackLimit
from compressionjob.trust_report import DisturbedFigures

SIDES: Final = ("baseline", "result")


def attackers(models: Both, *, same: bool) -> list[int]:
    """Return the models whose gradients are used: those with a checkpoint, and where none has one all by their answers.

    What is only quantized has no checkpoint of its own: the baseline's gradients are as good for it.
    """
    mine = range(1) if same else range(2)
    return [number for number in mine if models[number].checkpoint or not models[0].checkpoint]


def under_attack(limit: AttackLimit, bench: Bench, confidence: float) -> DisturbedFigures:
    """A model's answer counts as right where it is right for the input itself and for every input that was made of it:
    those made with either model's gradients are given to both.
    """
    space = bench.numbers
    gradients = _gradients(limit, bench)
    right = list(bench.clean)
    for number, (_, gradient) in enumerate(gradients):
        arrays = _attacked(limit, bench, gradient, number)
        answered = bench.right(with_inputs(bench.data, space, arrays))
        right = [before & now for before, now in zip(right, answered, strict=True)]
    found = bench.shares((right[0], right[1]), confidence)
    told = f"{limit.steps} steps with {' and '.join(name for name, _ in gradients)}; both models answered all inputs"
    return figures_of("attack", limit.method, limit.epsilon, space.unit_name, found, told)


def _gradients(limit: AttackLimit, bench: Bench) -> list[tuple[str, Gradient]]:
    """Whose gradients inputs are made with, and how they are come by."""
    found: list[tuple[str, Gradient]] = []
    for number in attackers(bench.models, same=bench.same):
        checkpoint = bench.models[number].checkpoint
        if checkpoint is not None:
            told = ("gradients of the baseline", "gradients of the result's last float checkpoint")[number]
            found.append((told, module_gradient(checkpoint(), bench.models[number].task)))
        else:
            told = f"gradients of the {SIDES[number]} estimated from its answers (SPSA)"
            generator = generator_of("directions", number)
            found.append((told, estimated_gradient(_scores_of(bench, number), bench.numbers, limit.epsilon, generator)))
    return found


def _scores_of(bench: Bench, number: int) -> Callable[[Floats], Floats]:
    """Return how a model is asked for gradients: in large batches, since nothing is judged by that; what comes of it is
    answered as it will be served.
    """
    return lambda inputs: bench.models[number].scores(with_inputs(bench.data, bench.numbers, list(inputs)), BATCH)


def _attacked(limit: AttackLimit, bench: Bench, gradient: Gradient, number: int) -> Sequence[NDArray[np.generic]]:
    """Return an attacked input for every sample; those of one shape are attacked together."""
    space = bench.numbers
    arrays = inputs_of(bench.data, space)
    found: list[NDArray[np.generic]] = list(arrays)
    shapes = sorted({array.shape for array in arrays})

    def counted(inputs: Floats, labels: Classes) -> Floats:
        slope = gradient(inputs, labels)
        if inputs.shape[1:] == shapes[0]:
            bench.tick()
        return slope

    for position, shape in enumerate(shapes):
        rows = [row for row, array in enumerate(arrays) if array.shape == shape]
        stacked = np.stack([arrays[row] for row in rows])
        generator = generator_of("start", number, position)
        changed = attack(stacked, bench.labels[rows], space, limit.epsilon, limit.steps, counted, generator)
        for row, array in zip(rows, changed, strict=True):
            found[row] = array
    return found
