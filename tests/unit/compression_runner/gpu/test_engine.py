"""An engine, in a process of its own, whose GPU is watched from here."""

from pathlib import Path

import pytest

from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.engine import environment
from compression_runner.methods.quantize.engine.environment import LLM_COMPRESSOR, run
from compressionjob.pod import ENGINES_VARIABLE
from tests.support.engines import stand_in
from tests.support.nvml.driver import UUID, Driver

FIELD = "spec.pipeline[0].quantize"


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    monkeypatch.setattr(environment, "EVERY", 0.01)
    return tmp_path


def test_what_an_engine_used_and_who_else_was_there_is_told(driver: Driver, engines: Path) -> None:
    says = engines / "says"
    uses = f"sed -i 's/^energy .*/energy 7000000/' {says}; echo \"process $$ 1000\" >> {says}"
    stand_in(engines, f'{uses}; echo "process 77 1000" >> {says}; sleep 0.1; echo "{{}}" > "$4"')
    told, seen = run(LLM_COMPRESSOR, {}, engines, FIELD, UUID)
    assert told == {}
    assert (seen["energyJoules"], seen["mostOtherProcesses"]) == (2000.0, 1)
    assert driver.times_open == 0


def test_an_engine_that_fails_lets_go_of_the_driver(driver: Driver, engines: Path) -> None:
    stand_in(engines, "exit 3")
    with pytest.raises(BadRecipe, match="ended with 3"):
        run(LLM_COMPRESSOR, {}, engines, FIELD, UUID)
    assert driver.times_open == 0


def test_an_engine_ends_with_the_stage_that_asked_for_it(
    driver: Driver, engines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing computes on after a stage was broken off."""
    stand_in(engines, "echo $$ > pid.txt; exec sleep 600")

    def broken_off(_watch: object) -> None:
        if (engines / "pid.txt").is_file() and (engines / "pid.txt").read_text():
            raise KeyboardInterrupt

    monkeypatch.setattr(environment.GpuWatch, "step", broken_off)
    with pytest.raises(KeyboardInterrupt):
        run(LLM_COMPRESSOR, {}, engines, FIELD, UUID)
    assert not Path("/proc", (engines / "pid.txt").read_text().strip()).exists()
