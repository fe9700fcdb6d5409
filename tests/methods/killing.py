"""Run a job's stages in a process of their own and kill it at a chosen moment."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, Protocol

from compression_runner import artifact as artifacts
from compression_runner.commands.manifest import read_manifest
from compression_runner.pipeline.checkpoints import PARTIAL
from compression_runner.pipeline.run import Run, compress
from compression_runner.pipeline.run_locations import of_trial
from compression_runner.storage import Stores
from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.progress import RunProgress
from tests.support.forked import FORKED

REPORT: Final = "stages.json"
PAUSE: Final = 0.005


class Running(Protocol):
    """A process that may have ended."""

    @property
    def pid(self) -> int | None:
        """The number of the process."""

    def is_alive(self) -> bool:
        """Return whether the process runs."""


@dataclass(frozen=True)
class Step:
    """A step of a job: its fingerprint, and the CPU seconds from the end of the step before to its own."""

    fingerprint: str
    seconds: float


@dataclass(frozen=True)
class Checkpoint:
    """Identify a step's checkpoint: one that is written again has another modification time."""

    digest: str
    made_at: int


def start_stages(job: Path, workdir: Path) -> BaseProcess:
    """Start the stages of a job, without measuring."""
    process = FORKED.Process(target=_stages, args=(job, workdir))
    process.start()
    return process


def _stages(job: Path, workdir: Path) -> None:
    """The part Compress of a job, as a pod runs it, on the locations of a local trial."""
    parsed = read_manifest(job)
    locations = of_trial(parsed.spec, Stores(base=job.parent), workdir)
    stages = compress(Run(parsed, locations, RunProgress(), RunMetrics()))
    (workdir / REPORT).write_text(json.dumps([stage.model_dump(mode="json", by_alias=True) for stage in stages]))


def finish_stages(job: Path, workdir: Path) -> tuple[list[dict[str, Any]], list[Step]]:
    """Run the stages of a job to their end and return their reports and the executed steps in order."""
    process = start_stages(job, workdir)
    seen, steps, before, now = checkpoints(workdir).keys(), list[Step](), 0.0, 0.0
    alive = True
    while alive:
        alive = process.is_alive()
        now = _cpu_seconds(process.pid) or now
        there = checkpoints(workdir).keys()
        for fingerprint in there - seen:
            steps.append(Step(fingerprint, now - before))
            before = now
        seen = there
        time.sleep(PAUSE)
    assert process.exitcode == 0, f"the stages of {job} ended with {process.exitcode}"
    return json.loads((workdir / REPORT).read_text()), steps


def checkpoints(workdir: Path) -> dict[str, Checkpoint]:
    """Return every complete checkpoint by its fingerprint."""
    places = (workdir / "checkpoints").glob(f"[!.]*/{artifacts.MARKER}")
    return {
        place.parent.name: Checkpoint(artifacts.load(place.parent).digest, place.stat().st_mtime_ns) for place in places
    }


def wait_for(moment: float, order: list[Step], workdir: Path, process: Running) -> None:
    """Wait until a job is as far as it was at this share of its undisturbed time, or its process has ended.

    At 1, all of its steps are done. Time is that of the CPU: how long it takes depends on what else the machine does.
    """
    step, left = _step_at(moment, order)
    names = [step.fingerprint] if left >= step.seconds else [step.fingerprint, f"{PARTIAL}{step.fingerprint}"]
    _wait(process, lambda: any((workdir / "checkpoints" / name).exists() for name in names))
    if left < step.seconds:
        end = _cpu_seconds(process.pid) + left
        _wait(process, lambda: _cpu_seconds(process.pid) >= end)


def _step_at(moment: float, order: list[Step]) -> tuple[Step, float]:
    """Return the step that runs at this share of the total time, and the seconds since it began."""
    if moment >= 1:
        return order[-1], order[-1].seconds
    left = moment * sum(step.seconds for step in order)
    for step in order[:-1]:
        if left < step.seconds:
            return step, left
        left -= step.seconds
    return order[-1], left


def _wait(process: Running, reached: Callable[[], bool]) -> None:
    while process.is_alive() and not reached():
        time.sleep(PAUSE)


def _cpu_seconds(process: int | None) -> float:
    """Return the CPU time of a process's threads so far (proc(5)), or 0 once it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
