"""Throughput of two models in turn: counted samples, disturbed blocks, and energy from a meter."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from compression_runner.evaluation.machine.energy import EnergyMeter
from compression_runner.evaluation.machine.noise import Noise
from compression_runner.evaluation.speed import loadgen, throughput
from compression_runner.evaluation.speed.loadgen import Offline
from compression_runner.evaluation.speed.scenario import SystemUnderTest
from compression_runner.evaluation.speed.throughput import (
    FIRST_PAIRS,
    UNLIMITED_PAIRS,
    ThroughputRun,
    measure_throughput,
)
from compression_runner.evaluation.statistics.alpha_spending import LOOKS
from tests.support.machine import Machine, Uncounted

NOISY = Noise(
    elapsed=2.0, total=4.0, own=1.0, steal=0.0, other=1.5, waited=1.0,
    throttled_periods=0, throttled_seconds=0.0, frequency=None, hot=None,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadgen, "ThreadWaits", Uncounted)
    monkeypatch.setattr(throughput, "THROUGHPUT_BLOCK_SECONDS", 0.02)


def _side(each: int = 1) -> SystemUnderTest:
    return SystemUnderTest(
        answer=lambda query: None,
        answer_batch=lambda indices: time.sleep(0.001),
        queries=4,
        samples=4,
        samples_each=each,
    )


def test_counts_samples_of_fixed_batches() -> None:
    run = measure_throughput(_side(1), _side(8), 4, 0.95, 600.0, look=Machine(), decided=lambda run: len(run.pairs) > 5)
    single, eightfold = run.rate(0), run.rate(1)
    assert single.low <= single.value <= single.high
    assert single.value <= 4 / 0.001
    assert eightfold.value > single.value
    assert eightfold.reason == "", "nothing disturbed it"


def test_without_a_limit_two_pairs_are_enough() -> None:
    assert len(measure_throughput(_side(), _side(), 4, 0.95, 600.0, look=Machine()).pairs) == UNLIMITED_PAIRS


def test_the_run_ends_only_at_looks() -> None:
    looks: list[int] = []

    def decided(run: ThroughputRun) -> bool:
        looks.append(len(run.pairs))
        return len(looks) == 3

    run = measure_throughput(_side(), _side(), 4, 0.95, 60.0, look=Machine(), decided=decided)
    assert looks[0] == FIRST_PAIRS
    assert len(run.pairs) == looks[-1]
    assert looks == sorted(set(looks))


def test_an_undecided_run_ends_at_the_time_limit() -> None:
    looks: list[int] = []
    measure_throughput(
        _side(), _side(), 4, 0.95, 0.2, look=Machine(), decided=lambda run: bool(looks.append(len(run.pairs)))
    )
    assert 1 <= len(looks) <= LOOKS


def test_time_taken_by_others_raises_only_the_upper_bound() -> None:
    noisy = Machine(lambda block: 0.01)
    run = measure_throughput(_side(), _side(), 4, 0.95, 600.0, look=noisy, decided=lambda run: True)
    rates = [pair[1] for pair in run.pairs]
    assert all(rate.least == pytest.approx(rate.measured) for rate in rates), "it is unknown which block lost the time"
    assert all(rate.most > rate.measured for rate in rates)
    assert run.rate(1).high > max(rate.most for rate in rates)


def test_for_a_sequential_model_both_bounds_move() -> None:
    result = Offline(samples=100, seconds=2.0, taken_least=0.9, taken_most=1.0)
    least, most = throughput._seconds(result, NOISY)
    assert [least, most] == pytest.approx([1.0, 1.1])
    throttled = throughput._seconds(result, replace(NOISY, throttled_periods=3))
    assert throttled == pytest.approx((1.0, 2.0)), "the limit of the cgroup is there when it serves, too"


def test_energy_is_per_sample(tmp_path: Path) -> None:
    (tmp_path / "energy_uj").write_text("0")

    def answer_batch(indices: object) -> None:
        counter = tmp_path / "energy_uj"
        counter.write_text(str(int(counter.read_text()) + 4_000_000))  # 4 J for a batch of 4

    side = SystemUnderTest(lambda query: None, answer_batch, 4, 4)
    run = measure_throughput(_side(), side, 4, 0.95, 600.0, look=Machine(), meter=EnergyMeter({tmp_path: 2**40}))
    energy = run.energy(1)
    assert energy is not None
    assert energy.value == pytest.approx(1.0)
    assert run.energy(0) == energy.model_copy(update={"value": 0.0, "low": 0.0, "high": 0.0})


def test_without_a_meter_there_is_no_energy() -> None:
    assert measure_throughput(_side(), _side(), 4, 0.95, 600.0, look=Machine()).energy(1) is None
