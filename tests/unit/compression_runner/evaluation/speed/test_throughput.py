"""Throughput of two models in turn: samples counted, disturbed blocks run again, energy where a meter tells it."""

import time
from pathlib import Path

import pytest

from compression_runner.evaluation.machine.energy import EnergyMeter
from compression_runner.evaluation.speed import throughput
from compression_runner.evaluation.speed.scenario import Contender
from compression_runner.evaluation.speed.throughput import MOST_PAIRS, THROUGHPUT_PAIRS, measure_throughput
from tests.support.machine import Machine


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "THROUGHPUT_BLOCK_SECONDS", 0.02)


def _side(each: int = 1) -> Contender:
    return Contender(
        answer=lambda query: None,
        answer_batch=lambda indices: time.sleep(0.001),
        queries=4,
        samples=4,
        samples_each=each,
    )


def test_counts_samples_of_fixed_batches() -> None:
    run = measure_throughput(_side(1), _side(8), 4, 0.95, 600.0, look=Machine())
    single, eightfold = run.rate(0), run.rate(1)
    assert single.low <= single.value <= single.high
    assert single.value <= 4 / 0.001
    assert eightfold.value > single.value
    assert len(run.pairs) == THROUGHPUT_PAIRS
    assert run.rate_verdict() == eightfold, "nothing disturbed it"


def test_disturbed_blocks_are_run_again() -> None:
    run = measure_throughput(_side(), _side(), 4, 0.95, 600.0, look=Machine(lambda block: 0.4 if block < 4 else 0.0))
    assert len(run.pairs) == THROUGHPUT_PAIRS
    assert not run.disturbed
    assert run.notes == ["2 of 8 pairs of throughput blocks were disturbed, and do not count"]


def test_on_a_machine_that_is_never_quiet_only_the_upper_bound_is_in_doubt() -> None:
    run = measure_throughput(_side(), _side(), 4, 0.95, 600.0, look=Machine(lambda block: 0.5))
    measured, judged = run.rate(1), run.rate_verdict()
    assert len(run.pairs) == MOST_PAIRS
    assert judged.low == measured.low, "noise only takes from a rate"
    assert judged.high == pytest.approx(2 * measured.high)
    assert "took 50% of the time" in judged.reason


def test_energy_is_of_one_sample(tmp_path: Path) -> None:
    (tmp_path / "energy_uj").write_text("0")

    def answer_batch(indices: object) -> None:
        counter = tmp_path / "energy_uj"
        counter.write_text(str(int(counter.read_text()) + 4_000_000))  # 4 J for a batch of 4

    side = Contender(lambda query: None, answer_batch, 4, 4)
    run = measure_throughput(_side(), side, 4, 0.95, 600.0, look=Machine(), meter=EnergyMeter({tmp_path: 2**40}))
    found = run.energy(1)
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert run.energy(0) == found.model_copy(update={"value": 0.0, "low": 0.0, "high": 0.0})


def test_without_a_meter_there_is_no_energy() -> None:
    assert measure_throughput(_side(), _side(), 4, 0.95, 600.0, look=Machine()).energy(1) is None
