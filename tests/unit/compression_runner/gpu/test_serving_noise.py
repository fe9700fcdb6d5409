"""The GPU of servers: their processes are the measurement's, those of others leave limits open, and its energy."""

from pathlib import Path

import pytest

from compression_runner.evaluation.machine.execution import measuring_gpu
from compression_runner.evaluation.serving import servers as servers_module
from compression_runner.evaluation.serving.client import Request
from compression_runner.evaluation.serving.load import Load
from compression_runner.evaluation.serving.servers import ServerCommands, Servers
from compression_runner.evaluation.serving.serving import ServingPlan, measure_serving
from compression_runner.evaluation.serving.serving_run import ServingRun
from compression_runner.inference.serving.server import Command, ServerProcess
from tests.support.completions_server import command
from tests.support.nvml.driver import MIB, UUID, Driver

REQUEST = Request("model", [[number] * 8 for number in range(40)], 4, exact=True, timeout=60.0)
PLAN = ServingPlan(Load(concurrency=2), quantile=0.5, confidence=0.95, seconds=60.0)
NEIGHBOUR = 4_000_000


def served(folder: Path, driver: Driver, *others: int) -> ServingRun:
    """Measure two stand-in servers; the driver lists their processes and those of others, and no use of the GPU."""
    quick = {"ttft": 0.002, "ttft_more": 0.0, "gap": 0.0, "gap_more": 0.0}
    commands = (command(folder / "baseline.log", **quick), command(folder / "compressed.log", **quick))
    pids: list[int] = list(others)

    def start(of: Command) -> ServerProcess:
        server = ServerProcess(of)
        pids.append(server.session)
        driver.say(processes=[(pid, 400 * MIB) for pid in pids])
        return server

    with measuring_gpu(wanted=True) as card:
        assert card is not None
        with Servers(ServerCommands("stand-in", commands, resident=True), start, card) as both:
            return measure_serving(both, REQUEST, PLAN)


@pytest.fixture(autouse=True)
def _assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", UUID)


def test_the_servers_are_no_others_and_their_energy_is_that_of_tokens(driver: Driver, tmp_path: Path) -> None:
    driver.say(watts=300)
    run = served(tmp_path, driver)
    assert run.noise is not None
    assert run.noise.gpu is not None
    assert (run.noise.gpu.others, run.noise.gpu.lost) == (0, 0.0)
    for side in (0, 1):
        energy = run.model(side).energy(0.95)
        assert energy is not None
        assert 0.0 <= energy.low < energy.value < energy.high
        for block in run.blocks(side):
            assert block.noise is not None
            assert block.joules is not None
            assert 0.0 < block.joules <= 300 * block.noise.elapsed
            # The requests before and after the measured ones have answers, too.
            assert block.loaded.tokens > sum(len(answer.tokens) for answer in block.answers)
            assert block.joules_per_token == block.joules / block.loaded.tokens


def test_others_on_the_gpu_leave_a_limit_open(driver: Driver, tmp_path: Path) -> None:
    driver.say(energy=None)
    run = served(tmp_path, driver, NEIGHBOUR)
    assert run.model(0).energy(0.95) is None, "a driver that does not count it"
    estimate = run.latency(1, "ttft", "p50", 0.95)
    assert estimate.low == 0.0
    assert estimate.high >= estimate.value >= 0.002
    assert "other processes are on the GPU, and its driver does not report how much they compute" in estimate.reason


def test_servers_on_the_cpu_read_no_gpu(driver: Driver) -> None:
    with measuring_gpu(wanted=False) as card:
        assert card is None
    assert servers_module.read_with_servers([], card=None).gpu is None
