"""Compare the SHAP values of both models' answers (attribution agreement).

Integer graphs have no gradients, so both models are explained from their answers alone, by captum's KernelSHAP
(S. Lundberg, S.-I. Lee, A Unified Approach to Interpreting Model Predictions, NIPS 2017), over the same coalitions.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from captum.attr import KernelShap
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.model import Answering, Both, spread
from compression_runner.evaluation.attributions.shap_features import ShapFeatures, features_of
from compression_runner.evaluation.robustness.space import space_of
from compression_runner.evaluation.statistics.intervals import mean
from compression_runner.inference.similarity import Floats, row_cosines
from compressionjob.conditions import INVALID_INPUT
from compressionjob.estimate import Estimate
from compressionjob.tasks import TASKS
from compressionjob.trust_limits import AttributionLimit
from compressionjob.trust_report import Attribution, AttributionsReport

SEED: Final = 20261125
EXAMPLES: Final = 6
COALITIONS_EACH, COALITIONS_MORE = 4, 64
"""Coalitions: this many for each feature, and this many more; several times the number of unknowns."""
Values = NDArray[np.float64]


@dataclass(frozen=True)
class ExplainedSample:
    """One sample with the SHAP values of both models, each of shape (features,)."""

    row: int
    answer: int | None
    features: ShapFeatures
    values: tuple[Values, Values]
    agreement: float


def attributions(
    limit: AttributionLimit,
    models: Both,
    data: SampleSet,
    baseline: Floats,
    confidence: float,
    *,
    same: bool,
    advance: Callable[[float], None],
) -> AttributionsReport:
    """Explain the baseline's answers with both models; `baseline` are its answers (samples, values) to all data.

    `advance` receives the share that is done. Raises InvalidInput for texts without words.
    """
    traits = TASKS[models[0].task]
    space = None if traits.content == "text" else space_of(data, traits.content)
    rows = spread(len(data), limit.samples)
    explained: list[ExplainedSample] = []
    for done, row in enumerate(rows):
        features = features_of(data, row, traits.content, space)
        answer = int(baseline[row].argmax()) if traits.classifies else None
        if features.names:
            explained.append(_explained(models, data, row, answer, features, same=same))
        advance((done + 1) / len(rows))
    if not explained:
        problem, remedy = "none of the texts has a word", "give other texts, or remove the limit"
        raise InvalidInput(INVALID_INPUT, "spec.sla.attributions", len(rows), problem, remedy)
    agreements = np.array([item.agreement for item in explained])
    worst_first = sorted(explained, key=lambda item: item.agreement)
    return AttributionsReport(
        method="KernelSHAP over the same coalitions for both models, of the class score above the mean of all classes"
        if traits.classifies
        else "KernelSHAP over the same coalitions for both models, of the predicted number",
        samples=len(explained),
        agreement=Estimate.exact(1.0) if same else mean(agreements, confidence, SEED),
        examples=[_example(item) for item in worst_first[:EXAMPLES]],
    )


def shap_values(model: Answering, data: SampleSet, features: ShapFeatures, answer: int | None, seed: int) -> Values:
    """Return how much each feature adds to a model's answer, shape (features,).

    The answer is the score of the class `answer` minus the mean of all classes, which a constant on all scores does not
    change, or the predicted number.
    """
    count = len(features.names)

    def evaluate(presence: torch.Tensor) -> torch.Tensor:
        rows = features.inputs(presence.numpy() > 0.5)
        scores = np.nan_to_num(model.scores(replace(data, samples=rows)), posinf=0.0, neginf=0.0)
        target = scores[:, 0] if answer is None else scores[:, answer] - scores.mean(axis=1)
        return torch.from_numpy(target.astype(np.float64))

    if count == 1:
        whole, nothing = evaluate(torch.tensor([[1.0], [0.0]])).tolist()
        return np.array([whole - nothing])
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum warns of what it does with one input
        torch.manual_seed(seed)
        attribution = KernelShap(evaluate).attribute(
            torch.ones(1, count),
            baselines=torch.zeros(1, count),
            n_samples=COALITIONS_EACH * count + COALITIONS_MORE,
            perturbations_per_eval=model.batch_size,
        )
    return np.asarray(attribution[0].numpy(), dtype=np.float64)


def _explained(
    models: Both, data: SampleSet, row: int, answer: int | None, features: ShapFeatures, *, same: bool
) -> ExplainedSample:
    before = shap_values(models[0], data, features, answer, SEED + row)
    after = before if same else shap_values(models[1], data, features, answer, SEED + row)
    return ExplainedSample(row, answer, features, (before, after), agreement(before, after))


def agreement(before: Values, after: Values) -> float:
    """Return the cosine of two attributions; 1 if both are zero, and 0 if one is."""
    return float(row_cosines(before[np.newaxis].astype(np.float32), after[np.newaxis].astype(np.float32))[0])


def _example(item: ExplainedSample) -> Attribution:
    return Attribution(
        sample=item.row,
        answer=item.answer,
        features=item.features.names,
        values=item.features.values,
        grid=item.features.grid,
        picture=item.features.picture,
        baseline=_rounded(item.values[0]),
        compressed=_rounded(item.values[1]),
        agreement=item.agreement,
    )


def _rounded(values: Sequence[float] | Values) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
