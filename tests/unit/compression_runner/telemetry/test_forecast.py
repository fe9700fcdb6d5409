"""The remaining time of recorded runs: unknown at first, never negative, and correct at the end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression_runner.telemetry.phase import Phase
from compression_runner.telemetry.progress import RunProgress

PLAN = [Phase("fetch", "", 5), Phase("export", "export", 10), Phase("int8", "quantize", 3), Phase("measure", "", 60),
        Phase("publish", "", 3)]  # fmt: skip
MINILM = {"fetch": 0.6, "export": 14.1, "int8": 4.9, "measure": 71.0, "publish": 0.8}
"""Seconds of a run of examples/minilm-int8.yaml."""


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Moment:
    """A forecast, and the time that really remained."""

    phase: str
    within: float
    left: float
    forecast: float | None


def run(
    plan: list[Phase],
    took: Mapping[str, float],
    earlier: Mapping[tuple[str, str], float] | None = None,
    steps: int = 50,
) -> Iterator[Moment]:
    """Yield a run whose phases take this long, each at a steady pace."""
    clock = Clock()
    progress = RunProgress(clock=clock)
    end = clock.now + sum(took.values())
    progress.expect(plan)
    progress.recall(earlier or {})
    for phase in plan:
        with progress.phase(phase.title, phase.method) as advance:
            for step in range(steps + 1):
                advance(step / steps, "")
                remaining = progress.snapshot().remaining
                yield Moment(phase.title, step / steps, end - clock.now, remaining.seconds if remaining else None)
                clock.now += took[phase.title] / steps if step < steps else 0.0


def test_without_a_basis_there_is_no_forecast() -> None:
    moments = list(run(PLAN, MINILM))
    assert all(moment.forecast is None for moment in moments if moment.phase == "fetch")
    first = next(moment for moment in moments if moment.forecast is not None)
    assert first.phase == "export"
    assert first.within >= 0.3


def test_the_forecast_of_a_recorded_run_improves() -> None:
    moments = [moment for moment in run(PLAN, MINILM) if moment.forecast is not None]
    errors = [abs((moment.forecast or 0.0) - moment.left) for moment in moments]
    assert moments[0].forecast == pytest.approx(moments[0].left, rel=0.5)
    assert max(errors[len(errors) // 2 :]) < 8.0
    assert max(errors[-20:]) < 1.0


def test_earlier_runs_give_a_forecast_from_the_start() -> None:
    earlier = {phase.key: MINILM[phase.title] for phase in PLAN}
    first = next(run(PLAN, MINILM, earlier))
    assert first.forecast == pytest.approx(91.4, abs=0.5)


def test_the_forecast_adapts_to_a_slower_machine() -> None:
    earlier = {phase.key: MINILM[phase.title] / 3 for phase in PLAN}
    at_measuring = [m for m in run(PLAN, MINILM, earlier) if m.phase == "measure" and m.within == 0.0]
    assert at_measuring[0].forecast == pytest.approx(at_measuring[0].left, rel=0.1)


def test_a_stage_from_a_checkpoint_counts_with_its_earlier_time() -> None:
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.expect(PLAN)
    with progress.phase("int8", "quantize"):
        clock.now += 0.2
    assert progress.snapshot().remaining is None
    progress.recall({("export", "export"): 20.0, ("int8", "quantize"): 6.0})
    remaining = progress.snapshot().remaining
    assert remaining is not None
    assert remaining.seconds == pytest.approx(2.0 * 63)
    assert remaining.basis == "2 of earlier runs"


def test_a_resumed_training_has_the_pace_of_this_pod() -> None:
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.expect([Phase("student", "distill", 60), Phase("measure", "", 0.0)])
    with progress.phase("student", "distill") as advance:
        clock.now += 5
        advance(0.5, "")
        for step in range(1, 41):
            clock.now += 1
            advance(0.5 + step / 100, "")
        remaining = progress.snapshot().remaining
        assert remaining is not None
        assert remaining.seconds == pytest.approx(10, abs=2)


def test_work_in_another_pod_is_in_the_forecast() -> None:
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.expect([Phase("fetch", "", 10), Phase("int8", "quantize", 10)], beyond=60)
    with progress.phase("fetch"):
        clock.now += 10
    remaining = progress.snapshot().remaining
    assert remaining is not None
    assert remaining.seconds == pytest.approx(70)


def test_an_overdue_phase_delays_the_end() -> None:
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.expect(PLAN)
    progress.recall({phase.key: MINILM[phase.title] for phase in PLAN})
    with progress.phase("measure"):
        ends = []
        for _ in range(100):
            clock.now += 10
            remaining = progress.snapshot().remaining
            assert remaining is not None
            assert remaining.seconds > 0
            ends.append(clock.now + remaining.seconds)
    assert ends[-1] > ends[20] > ends[8]


def test_a_finished_run_has_no_forecast() -> None:
    progress = RunProgress(clock=Clock())
    progress.expect(PLAN)
    progress.recall({phase.key: 1.0 for phase in PLAN})
    assert progress.snapshot().remaining is not None
    progress.finish()
    assert progress.snapshot().remaining is None


WEIGHTS = st.lists(st.tuples(st.floats(1, 60), st.floats(0.2, 5.0)), min_size=1, max_size=6)


@given(WEIGHTS, st.floats(0.05, 600))
def test_forecasts_converge(phases: list[tuple[float, float]], unit: float) -> None:
    """Whatever the phases' weights, and however wrong they are."""
    plan = [Phase(f"phase-{index}", "", weight) for index, (weight, _) in enumerate(phases)]
    took = {phase.title: weight * wrong * unit for phase, (weight, wrong) in zip(plan, phases, strict=True)}
    whole = sum(took.values())
    moments = list(run(plan, took))
    forecasts = [moment for moment in moments if moment.forecast is not None]
    assert all((moment.forecast or 0.0) >= 0 for moment in forecasts)
    last = [moment for moment in forecasts if moment.phase == plan[-1].title and moment.within >= 0.9]
    assert last
    for moment in last:
        assert abs((moment.forecast or 0.0) - moment.left) <= 0.1 * whole + 2.0
    assert (moments[-1].forecast or 0.0) <= 0.02 * whole + 2.0
