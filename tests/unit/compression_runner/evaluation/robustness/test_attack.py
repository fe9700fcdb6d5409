"""Attacks on linear models with a known worst case: every number moves by epsilon against the margin."""

from pathlib import Path

import numpy as np
import pytest

from compression_runner.artifact import seal
from compression_runner.dataset import SampleSet
from compression_runner.evaluation.answers.model import Answering
from compression_runner.evaluation.robustness.disturbances import robustness
from compression_runner.evaluation.robustness.gradients import estimated_gradient, module_gradient
from compression_runner.evaluation.robustness.pgd import attack
from compression_runner.evaluation.robustness.space import Space, space_of
from compression_runner.formats.export import export
from compression_runner.inference.opening import open_predictor
from compressionjob.trust_limits import RobustnessLimit
from tests.support import tiny_models
from tests.support.graphs import Linear

WIDTH, EPSILON = 12, 0.2
WEIGHTS = np.random.default_rng(0).normal(size=(WIDTH, 2)).astype(np.float32)
ROWS = np.random.default_rng(1).normal(size=(200, WIDTH)).astype(np.float32)
LABELS = (ROWS @ WEIGHTS).argmax(1).astype(np.int64)
MARGIN = WEIGHTS[:, 1] - WEIGHTS[:, 0]


def _data() -> SampleSet:
    return SampleSet(samples=[{"x": row} for row in ROWS], digest="", labels=LABELS, unnamed=True)


def _limits() -> RobustnessLimit:
    return RobustnessLimit.model_validate({"attack": {"epsilon": str(EPSILON), "min": "0.5"}})


def _true_gradient(inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.where(labels[:, None] == 1, -MARGIN, MARGIN).astype(np.float32)


def _worst(rows: np.ndarray, space: Space) -> np.ndarray:
    """Return the largest change within the ball and the bounds of the data."""
    reach = EPSILON * space.unit * np.sign(_true_gradient(rows, LABELS))
    return np.clip(rows + reach, space.low, space.high)


def test_a_known_gradient_leads_to_the_worst_case() -> None:
    space = space_of(_data(), "features")
    adversarial = attack(ROWS, LABELS, space, EPSILON, 10, _true_gradient, np.random.default_rng(2))
    assert adversarial == pytest.approx(_worst(ROWS, space), abs=1e-5)
    assert (np.abs(adversarial - ROWS) <= EPSILON * space.unit + 1e-5).all()


def test_an_estimated_gradient_has_the_signs_of_the_true_one(linear: Linear) -> None:
    space = space_of(_data(), "features")

    def scores(inputs: np.ndarray) -> np.ndarray:
        return np.asarray(inputs @ WEIGHTS, dtype=np.float32)

    estimate = estimated_gradient(scores, space, EPSILON, np.random.default_rng(3))
    gradient = estimate(ROWS, LABELS) * space.unit
    large = np.abs(MARGIN * space.unit) > 0.5
    agree = np.sign(gradient[:, large]) == np.sign(_true_gradient(ROWS, LABELS)[:, large])
    assert agree.mean() > 0.9


def test_an_attack_on_a_graph_is_nearly_optimal(linear: Linear) -> None:
    space = space_of(_data(), "features")
    exact = float(((_worst(ROWS, space) @ WEIGHTS).argmax(1) == LABELS).mean())
    model = linear(WEIGHTS)
    clean = (ROWS @ WEIGHTS).astype(np.float32)
    report, estimates = robustness(
        _limits(), (model, model), _data(), (clean, clean), 0.95, same=True, advance=lambda share: None
    )
    assert exact < 0.75
    assert exact <= report.disturbed[0].compressed.value <= exact + 0.05
    assert report.baseline_clean.value == 1.0
    assert estimates["attack.drop"].high == 0.0
    assert "SPSA" in report.disturbed[0].method


def test_both_models_get_all_adversarial_inputs(linear: Linear) -> None:
    """The other model has half of its weights negated: adversarial inputs for one hardly affect the other."""
    other = WEIGHTS * np.where(np.arange(WIDTH) % 2, 1, -1)[:, None].astype(np.float32)
    labels = (ROWS @ other).argmax(1)
    both = np.flatnonzero(labels == LABELS)
    data = _data().only(both.tolist())
    clean = tuple((ROWS[both] @ weights).astype(np.float32) for weights in (WEIGHTS, other))
    models = (linear(WEIGHTS), linear(other))
    report, _ = robustness(_limits(), models, data, (clean[0], clean[1]), 0.95, same=False, advance=lambda share: None)
    method = "the baseline estimated from its answers (SPSA) and gradients of the result estimated"
    assert method in report.disturbed[0].method
    assert report.disturbed[0].baseline.value < 0.9
    assert report.disturbed[0].compressed.value < 0.9


def test_an_attack_is_deterministic(linear: Linear) -> None:
    model = linear(WEIGHTS)
    clean = (ROWS @ WEIGHTS).astype(np.float32)
    one, other = (
        robustness(_limits(), (model, model), _data(), (clean, clean), 0.95, same=True, advance=lambda share: None)[0]
        for _ in range(2)
    )
    assert one == other


def test_a_checkpoint_is_attacked_by_its_gradients(tmp_path: Path) -> None:
    """The loss of a real network grows under attack, and more than under noise of the same size."""
    model = tiny_models.resnet(tmp_path / "model")
    source = seal(model, "transformers", "image-classification")
    (tmp_path / "graph").mkdir()
    export(source, tmp_path / "graph")
    images = np.random.default_rng(4).uniform(-1, 1, (24, 1, 16, 16)).astype(np.float32)
    with open_predictor(tmp_path / "graph" / "model.onnx", 1, "onnxruntime") as predictor:
        data = SampleSet(samples=[{"pixel_values": image} for image in images], digest="", unnamed=True)
        answering = Answering(predictor, "image-classification", 1, lambda: source)
        clean = answering.scores(data)
        labels = clean.argmax(1).astype(np.int64)
        space = space_of(data, "image")
        gradient = module_gradient(source, "image-classification")
        changed = attack(images, labels, space, 0.1, 5, gradient, np.random.default_rng(5))
        noise = space.kept(images + 0.1 * space.unit * np.random.default_rng(6).choice([-1, 1], images.shape))
        losses = [_loss(answering, data, inputs, labels) for inputs in (images, noise, changed)]
    assert losses[0] < losses[2]
    assert losses[1] < losses[2]


def _loss(model: Answering, data: SampleSet, images: np.ndarray, labels: np.ndarray) -> float:
    given = SampleSet(samples=[{"pixel_values": image} for image in images], digest="", unnamed=True)
    scores = model.scores(given).astype(np.float64)
    likelihood = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return float(-likelihood[np.arange(len(labels)), labels].mean())


def test_recordings_of_any_length_are_attacked(tmp_path: Path) -> None:
    """Those of one length together; in a batch of the graph's they are filled up."""
    model = tiny_models.waveform_classifier(tmp_path / "model")
    source = seal(model, "transformers", "audio-classification")
    (tmp_path / "graph").mkdir()
    export(source, tmp_path / "graph")
    random = np.random.default_rng(8)
    waves = [random.normal(size=length).astype(np.float32) for length in (4000, 3000) * 6]
    data = SampleSet(
        samples=[{"input_values": wave} for wave in waves],
        digest="",
        unnamed=True,
        free=frozenset({"input_values"}),
    )
    progress: list[float] = []
    limit = RobustnessLimit.model_validate(
        {"noise": {"level": "0.1", "min": "0.1"}, "attack": {"epsilon": "1", "steps": 4, "min": "0.1"}}
    )
    with open_predictor(tmp_path / "graph" / "model.onnx", 1, "onnxruntime") as predictor:
        answering = Answering(predictor, "audio-classification", 1, lambda: source)
        clean = answering.scores(data)
        both = (answering, answering)
        report, estimates = robustness(limit, both, data, (clean, clean), 0.95, same=True, advance=progress.append)
    assert [item.kind for item in report.disturbed] == ["gaussian", "pgd"]
    assert report.disturbed[1].unit == "standard deviations"
    assert report.disturbed[1].compressed.value <= report.disturbed[0].compressed.value
    assert set(estimates) == {"noise.drop", "noise.score", "attack.drop", "attack.score"}
    assert progress == sorted(progress)
    assert progress[-1] == pytest.approx(1.0)
    assert len(progress) == 5
