"""Two stand-in servers, measured in alternating blocks: limits at known distances, restarts, and failures."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.evaluation.serving import serving
from compression_runner.evaluation.serving.client import Request
from compression_runner.evaluation.serving.load import Load
from compression_runner.evaluation.serving.servers import ServerCommands, Servers
from compression_runner.evaluation.serving.serving import (
    FIRST_PAIRS,
    ServingPlan,
    ServingSizing,
    measure_serving,
    size_serving,
)
from compression_runner.inference.serving.server import Command, ServerProcess
from tests.support.completions_server import command

PROMPTS = [[number] * 8 for number in range(40)]
REQUEST = Request("model", PROMPTS, 4, exact=True, timeout=60.0)
CLOSED = Load(concurrency=2)


def servers(tmp_path: Path, *, resident: bool = True, started: list[str] | None = None, **compressed: Any) -> Servers:
    """Return the servers of two models: a fast baseline, and the compressed model's with other settings."""
    quick = {"ttft": 0.002, "ttft_more": 0.0, "gap": 0.0, "gap_more": 0.0}
    commands = (command(tmp_path / "baseline.log", **quick), command(tmp_path / "compressed.log", **quick | compressed))

    def start(of: Command) -> ServerProcess:
        if started is not None:
            started.append(of.log.stem)
        return ServerProcess(of)

    return Servers(ServerCommands("stand-in", commands, resident), start)


def plan(load: Load = CLOSED, seconds: float = 60.0) -> ServingPlan:
    return ServingPlan(load, quantile=0.5, confidence=0.95, seconds=seconds)


def test_a_slower_server_is_slower_by_what_it_waits(tmp_path: Path) -> None:
    with servers(tmp_path, ttft=0.06) as both:
        run = measure_serving(both, REQUEST, plan())
    assert len(run.pairs) == FIRST_PAIRS
    assert [len(block.answers) for pair in run.pairs for block in pair].count(len(run.pairs[0][0].answers)) == 16
    ratio = run.ratio("ttft", "p50", 0.95)
    assert ratio is not None
    assert ratio.value > 2
    for before, after in run.pairs:
        assert [answer.prompt for answer in before.answers] == [answer.prompt for answer in after.answers]


def test_servers_that_do_not_fit_together_start_once_for_two_blocks(tmp_path: Path) -> None:
    started: list[str] = []
    with servers(tmp_path, resident=False, started=started) as both:
        measure_serving(both, REQUEST, plan())
        assert len(both.sessions) == 1
    # Each is started and warmed up first; then the order of the blocks is BA AB BA AB ...
    assert started == ["baseline", "compressed"] + ["baseline", "compressed"] * (FIRST_PAIRS // 2)


def test_a_run_ends_at_the_look_that_decides(tmp_path: Path) -> None:
    looks: list[int] = []

    def decided(run: Any) -> bool:
        looks.append(run.requests)
        return len(looks) == 2

    with servers(tmp_path) as both:
        run = measure_serving(both, REQUEST, plan(), decided)
    assert len(looks) == 2
    assert looks[1] == run.requests > looks[0]


def test_a_baseline_that_does_not_start_is_an_invalid_source(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = command(tmp_path / "baseline.log", nothing=1)
    with (
        caplog.at_level(logging.ERROR),
        Servers(ServerCommands("stand-in", (broken, broken), resident=True)) as both,
        pytest.raises(InvalidInput, match="does not serve the baseline model: it did not start: TypeError") as failed,
    ):
        measure_serving(both, REQUEST, plan())
    assert failed.value.field == "spec.model.source"
    assert "unexpected keyword argument" in caplog.text


def test_a_server_that_ends_while_it_is_measured_is_no_slow_one(tmp_path: Path) -> None:
    with (
        servers(tmp_path, dies_after=30) as both,
        pytest.raises(BadRecipe, match="does not serve the compressed model: it ended while it was measured") as failed,
    ):
        measure_serving(both, REQUEST, plan())
    assert failed.value.reason == "EngineFailed"


def test_a_block_has_requests_for_the_percentile_and_for_the_queue() -> None:
    for load in (Load(rate=4.0), Load(concurrency=8)):
        sizing = size_serving(ServingPlan(load, 0.99, 0.99, 3600.0), [0.5, 0.8], start_seconds=0.0)
        # 99 % confidence of a p99 needs 528 requests, and more of eight blocks.
        assert sizing.looks[0] * sizing.requests > 528
        short = size_serving(ServingPlan(load, 0.99, 0.99, 60.0), [0.5, 0.8], start_seconds=0.0)
        assert short.requests < sizing.requests
    assert sizing.settle == 8


def test_a_block_settles_for_what_a_trial_had_in_flight() -> None:
    within = ServingPlan(Load(rate=4.0), 0.9, 0.95, 3600.0)
    assert size_serving(within, [0.5, 0.8], 0.0).settle == 7
    assert size_serving(within, [0.5, 0.8], 0.0, in_flight=30.0).settle == 60
    short = size_serving(ServingPlan(Load(rate=4.0), 0.9, 0.95, 300.0), [0.5, 0.8], 0.0, in_flight=300.0)
    # Settling takes half of a block at most: 67 arrivals a block are affordable.
    assert 2 * short.settle <= 36
    assert short.requests >= 33


def test_a_trial_counts_the_requests_in_flight_under_the_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sized: list[float] = []

    def size(of: ServingPlan, durations: list[float], start_seconds: float, in_flight: float) -> ServingSizing:
        sized.extend([*durations, in_flight])
        return ServingSizing((2,), 4, 2)

    monkeypatch.setattr(serving, "size_serving", size)
    with servers(tmp_path, slots=1, ttft=0.02) as both:
        run = measure_serving(both, replace(REQUEST, longest=1), plan(Load(rate=200.0)))
    # It answers at most 50 requests a second, and 200 arrive: more are in flight than if each were alone.
    assert sized[2] > 200.0 * sized[1]
    assert run.alone is not None
    assert 0.02 <= run.alone[1].ttft <= sized[1]
