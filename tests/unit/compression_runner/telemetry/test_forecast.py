"""How long a run will take: nothing without a basis, never past, and right in the end, on recorded sequences."""

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
    """What was forecast when so much time was really left."""

    phase: str
    within: float
    left: float
    told: float | None


def run(
    plan: list[Phase],
    took: Mapping[str, float],
    earlier: Mapping[tuple[str, str], float] | None = None,
    steps: int = 50,
) -> Iterator[Moment]:
    """A run whose phases take this long, each at a steady pace."""
    clock = Clock()
    progress = RunProgress(clock=clock)
    end = clock.now + sum(took.values())
    progress.expect(plan)
    progress.recall(earlier or {})
    for phase in plan:
        with progress.phase(phase.title, phase.method) as advance:
            for step in range(steps + 1):
                advance(step / steps, "")
                told = progress.snapshot().remaining
                yield Moment(phase.title, step / steps, end - clock.now, told.seconds if told else None)
                clock.now += took[phase.title] / steps if step < steps else 0.0


def test_without_a_basis_there_is_no_forecast() -> None:
    moments = list(run(PLAN, MINILM))
    assert all(moment.told is None for moment in moments if moment.phase == "fetch")
    first = next(moment for moment in moments if moment.told is not None)
    assert first.phase == "export"
    assert first.within >= 0.3


def test_a_recorded_run_is_forecast_better_and_better() -> None:
    moments = [moment for moment in run(PLAN, MINILM) if moment.told is not None]
    errors = [abs((moment.told or 0.0) - moment.left) for moment in moments]
    assert moments[0].told == pytest.approx(moments[0].left, rel=0.5)
    assert max(errors[len(errors) // 2 :]) < 8.0
    assert max(errors[-20:]) < 1.0


def test_what_ran_before_is_a_basis_from_the_start() -> None:
    earlier = {phase.key: MINILM[phase.title] for phase in PLAN}
    first = next(run(PLAN, MINILM, earlier))
    assert first.told == pytest.approx(91.4, abs=0.5)


def test_a_slower_machine_than_before_is_noticed() -> None:
    earlier = {phase.key: MINILM[phase.title] / 3 for phase in PLAN}
    at_measuring = [m for m in run(PLAN, MINILM, earlier) if m.phase == "measure" and m.within == 0.0]
    assert at_measuring[0].told == pytest.approx(at_measuring[0].left, rel=0.1)


def test_a_stage_from_its_checkpoint_counts_with_the_time_that_it_once_took() -> None:
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.expect(PLAN)
    with progress.phase("int8", "quantize"):
        clock.now += 0.2
    assert progress.snapshot().remaining is None
    progress.recall({("export", "export"): 20.0, ("int8", "quantize"): 6.0})
    told = progress.snapshot().remaining
    assert told is not None
    assert told.seconds == pytest.approx(2.0 * 63)
    assert told.basis == "2 of earlier runs"


def test_a_training_that_goes_on_in_its_middle_has_the_pace_of_this_pod() -> None:
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.expect([Phase("student", "distill", 60), Phase("measure", "", 0.0)])
    with progress.phase("student", "distill") as advance:
        clock.now += 5
        advance(0.5, "")
        for step in range(1, 41):
            clock.now += 1
            advance(0.5 + step / 100, "")
        told = progress.snapshot().remaining
        assert told is not None
        assert told.seconds == pytest.approx(10, abs=2)


def test_what_follows_in_another_pod_is_in_the_forecast() -> None:
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.expect([Phase("fetch", "", 10), Phase("int8", "quantize", 10)], beyond=60)
    with progress.phase("fetch"):
        clock.now += 10
    told = progress.snapshot().remaining
    assert told is not None
    assert told.seconds == pytest.approx(70)


def test_a_phase_that_is_over_its_time_pushes_the_end_away() -> None:
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.expect(PLAN)
    progress.recall({phase.key: MINILM[phase.title] for phase in PLAN})
    with progress.phase("measure"):
        ends = []
        for _ in range(100):
            clock.now += 10
            told = progress.snapshot().remaining
            assert told is not None
            assert told.seconds > 0
            ends.append(clock.now + told.seconds)
    assert ends[-1] > ends[20] > ends[8]


def test_a_run_that_is_done_forecasts_nothing() -> None:
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
    told = [moment for moment in moments if moment.told is not None]
    assert all((moment.told or 0.0) >= 0 for moment in told)
    last = [moment for moment in told if moment.phase == plan[-1].title and moment.within >= 0.9]
    assert last
    for moment in last:
        assert abs((moment.told or 0.0) - moment.left) <= 0.1 * whole + 2.0
    assert (moments[-1].told or 0.0) <= 0.02 * whole + 2.0
