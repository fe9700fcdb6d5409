"""The price of the hardware: the cost of answers and of the run, and the sources of the price."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compression_runner.commands.plan import plan
from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation import evaluate
from compression_runner.evaluation.evaluate import measure
from compression_runner.evaluation.machine.noise import noise_between
from compression_runner.evaluation.measurements import MeasuredModel, Measurements
from compression_runner.evaluation.speed.throughput import Rate, ThroughputRun
from compression_runner.pipeline.spending import price_of, require_price, run_cost
from compressionjob.cost import cost_of, cost_per_million, format_cost
from compressionjob.estimate import Estimate
from compressionjob.exit_codes import ExitCode
from compressionjob.sla_objectives import COST, THROUGHPUT
from compressionjob.spec import CompressionJobSpec
from compressionjob.verdict import judge
from tests.support.machine import Machine
from tests.support.manifests import job
from tests.support.short_measurements import measure_shortly

CLASSES, WIDTH = 4, 16


def _spec(limit: str) -> CompressionJobSpec:
    return CompressionJobSpec.model_validate(
        {
            "model": {"source": "file:///models/m", "task": "image-classification"},
            "data": {"evaluation": {"source": "file:///data/d.npz"}},
            "pipeline": [{"quantize": {}}],
            "sla": {"cost": {"maxPerMillion": limit}},
            "output": {"destination": "file:///models/out"},
        }
    )


Measure = Callable[[float | None], Measurements]


@pytest.fixture
def at_price(linear_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Measure:
    """What measures a tiny classifier for real, as shortly as it can be, on hardware of a price."""
    measure_shortly(monkeypatch)
    weights = np.random.default_rng(0).normal(size=(WIDTH, CLASSES)).astype(np.float32)
    rows = np.random.default_rng(2).normal(size=(100, WIDTH)).astype(np.float32)
    data = SampleSet(samples=[{"x": row} for row in rows], digest="sha256:0", labels=(rows @ weights).argmax(axis=1))
    subjects = [MeasuredModel(linear_model(name, weights), 1000) for name in ("before", "after")]
    return lambda price: measure(_spec("0.9"), *subjects, data, price=price)


@pytest.fixture
def measured(at_price: Measure) -> Measurements:
    """Return a measurement on hardware whose price is known."""
    return at_price(3.6)


def test_a_million_answers_cost_the_price_over_the_measured_throughput(measured: Measurements) -> None:
    rate = measured.estimates[THROUGHPUT]
    (result,) = measured.judgement(_spec("999999").sla).objectives
    assert (result.name, result.unit, result.verdict) == ("cost.perMillion", "cost per million samples", "Pass")
    assert result.measured == pytest.approx(1000 / rate.value)
    assert result.low == pytest.approx(1000 / rate.high)
    assert result.high == pytest.approx(1000 / rate.low)
    (result,) = measured.judgement(_spec("0.000000001").sla).objectives
    assert result.verdict == "Fail"


def test_the_interval_of_a_cost_comes_from_the_rate() -> None:
    noise = "other processes used 52% of the machine's CPU time"
    rate = Estimate(value=1000, low=900, high=4000, reason=noise)
    (result,) = judge(_spec("0.5").sla, {COST: cost_per_million(3.6, rate)}).objectives
    assert (result.verdict, result.reason) == ("Inconclusive", noise)
    assert (result.low, result.high) == (pytest.approx(0.25), pytest.approx(1 / 0.9))


def test_an_undecided_limit_on_cost_states_the_needed_time(at_price: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = noise_between(Machine()(), Machine()())
    rates = [Rate(measured=rate, least=rate, most=rate, joules=None, noise=quiet) for rate in (900.0, 1000.0, 1100.0)]

    def throughput(*_args: object, decided: Callable[[ThroughputRun], bool], **_more: object) -> ThroughputRun:
        run = ThroughputRun(0.995, [(rate, rate) for rate in rates])
        assert not decided(run)
        return run

    monkeypatch.setattr(evaluate, "measure_throughput", throughput)
    (result,) = at_price(3.6).judgement(_spec("0.9").sla).objectives
    assert (result.measured, result.verdict) == (pytest.approx(1.0), "Inconclusive")
    assert "more of measuring would decide" in result.reason
    assert result.more_seconds


def test_without_a_price_there_is_no_cost(at_price: Measure) -> None:
    measured = at_price(None)
    assert measured.judgement(_spec("1").sla).verdict == "Inconclusive"
    assert run_cost(60, None, measured.baseline, measured.compressed) is None


def test_a_run_reports_its_own_cost(measured: Measurements) -> None:
    cost = run_cost(1800, 0.4, measured.baseline, measured.compressed)
    assert cost is not None
    assert cost.cost == pytest.approx(0.2)
    assert cost.sentence() == "0.2000 for 30m0s at 0.4 an hour, for this run only"
    assert cost.compressed_per_million is not None
    assert cost.compressed_per_million.value > 0


def test_a_limit_on_cost_without_a_price_is_refused_with_the_remedy() -> None:
    with pytest.raises(InvalidInput) as caught:
        require_price(_spec("1.5"), None)
    assert (caught.value.field, caught.value.value) == ("spec.sla.cost.maxPerMillion", "1.5")
    assert "--price-per-hour" in caught.value.remedy
    assert "COMPRESSION_PRICE_PER_HOUR" in caught.value.remedy
    require_price(_spec("1.5"), 0.4)


def test_plan_refuses_a_missing_price_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import yaml

    manifest = tmp_path / "job.yaml"
    manifest.write_text(yaml.safe_dump(job(spec__sla__cost={"maxPerMillion": "1.5"})))
    assert plan(manifest, publish=False) == ExitCode.INVALID
    assert "--price-per-hour" in capsys.readouterr().err


def test_the_command_line_takes_precedence_over_the_environment() -> None:
    environment = {"COMPRESSION_PRICE_PER_HOUR": "0.4"}
    assert price_of(environment) == 0.4
    assert price_of(environment, "2") == 2.0
    assert price_of({}) is None


@pytest.mark.parametrize("text", ["free", "-1", "0", "1e3"])
def test_an_invalid_price_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        price_of({"COMPRESSION_PRICE_PER_HOUR": text})
    assert (caught.value.field, caught.value.value) == ("COMPRESSION_PRICE_PER_HOUR", text)


def test_a_rate_whose_interval_reaches_zero_has_a_finite_cost() -> None:
    cost = cost_per_million(3.6, Estimate(value=10, low=0, high=20))
    assert cost.low < cost.value < cost.high < float("inf")


def test_costs_have_a_readable_sentence() -> None:
    written = [format_cost(cost) for cost in (0, 12.345678, 0.01, 0.00123456)]
    assert written == ["0.0000", "12.3457", "0.0100", "0.001235"]
    assert cost_of(90, 40) == 1.0
