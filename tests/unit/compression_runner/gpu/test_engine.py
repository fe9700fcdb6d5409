"""An engine in its own process, whose GPU the runner watches."""

from pathlib import Path

import pytest

from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.engine import environment
from compression_runner.methods.quantize.engine.environment import LLM_COMPRESSOR, run
from compressionjob.pod_interface import ENGINES_VARIABLE
from tests.support.engines import stand_in
from tests.support.nvml.driver import UUID, Driver

FIELD = "spec.pipeline[0].quantize"


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    monkeypatch.setattr(environment, "EVERY", 0.01)
    return tmp_path


def test_an_engines_energy_and_other_processes_are_reported(driver: Driver, engines: Path) -> None:
    says = engines / "says"
    uses = f"sed -i 's/^energy .*/energy 7000000/' {says}; echo \"process $$ 1000\" >> {says}"
    stand_in(engines, f'{uses}; echo "process 77 1000" >> {says}; sleep 0.1; echo "{{}}" > "$4"')
    report, seen = run(LLM_COMPRESSOR, {}, engines, FIELD, UUID)
    assert report == {}
    assert (seen["energyJoules"], seen["mostOtherProcesses"]) == (2000.0, 1)
    assert driver.times_open == 0


def test_a_failed_engine_releases_the_driver(driver: Driver, engines: Path) -> None:
    stand_in(engines, "exit 3")
    with pytest.raises(BadRecipe, match="ended with exit code 3"):
        run(LLM_COMPRESSOR, {}, engines, FIELD, UUID)
    assert driver.times_open == 0


def test_an_engine_ends_with_its_stage(driver: Driver, engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process continues after an interrupted stage."""
    stand_in(engines, "echo $$ > pid.txt; exec sleep 600")

    def broken_off(_watch: object) -> None:
        if (engines / "pid.txt").is_file() and (engines / "pid.txt").read_text():
            raise KeyboardInterrupt

    monkeypatch.setattr(environment.GpuWatch, "step", broken_off)
    with pytest.raises(KeyboardInterrupt):
        run(LLM_COMPRESSOR, {}, engines, FIELD, UUID)
    assert not Path("/proc", (engines / "pid.txt").read_text().strip()).exists()
