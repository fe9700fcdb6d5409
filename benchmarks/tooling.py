"""Run other tools as processes: separate environments, and the cost of a run in seconds and memory."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compressionjob.estimate import Estimate
from samples.packages import cache

CACHE: Final = cache().parent
MARKER: Final = "installed.txt"
"""The requirements of an environment, in its folder once it is whole."""


class ToolFailedError(RuntimeError):
    """A tool ended without a result."""


@dataclass(frozen=True)
class Cost:
    """The cost of one run of a tool; memory is the peak of its largest process."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def interpreter_of(name: str, requirements: Path) -> Path:
    """Return the interpreter of a tool's environment; create it from pinned requirements if it is missing."""
    return environment(CACHE / f"{name}-venv", requirements, sys.executable)


def environment(folder: Path, requirements: Path, python: str) -> Path:
    """Return the interpreter of the environment in `folder`; create it for a Python if it is missing.

    An environment with the same requirements is not touched: others may run in it.
    """
    if is_environment(folder, requirements):
        return folder / "bin" / "python"
    uv = next((str(path) for path in (CACHE / "uv-tool" / "bin" / "uv",) if path.is_file()), "uv")
    subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--python", python, str(folder)], check=True)
    # The requirements are complete, and vLLM's build for CPUs pins a build of torch that package registries lack.
    what = ["--python", str(folder), "--requirements", str(requirements)]
    subprocess.run([uv, "pip", "install", "--quiet", "--no-deps", *what], check=True)
    (folder / MARKER).write_text(requirements.read_text())
    return folder / "bin" / "python"


def is_environment(folder: Path, requirements: Path) -> bool:
    """Return whether `folder` has a whole environment with these requirements."""
    marker = folder / MARKER
    return marker.is_file() and marker.read_text() == requirements.read_text()


def timed(
    command: Sequence[str],
    more: Mapping[str, str],
    log: Path,
    accepted: tuple[int, ...] = (0,),
    on_line: Callable[[int, str], None] = lambda _process, _line: None,
) -> Cost:
    """Run a command with `more` in its environment; `on_line` receives its process id and each line of output.

    Raises ToolFailedError, with the end of the output, for an exit status that is not accepted.
    """
    start = time.monotonic()
    piped = subprocess.Popen(command, env=os.environ | more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with log.open("wb", buffering=0) as output, piped as process:
        for line in process.stdout or ():
            output.write(line)
            on_line(process.pid, line.decode(errors="replace"))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - start
    if process.returncode not in accepted:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        raise ToolFailedError(f"{Path(command[0]).name} ended with {process.returncode}:\n{tail}")
    return Cost(round(seconds, 2), round(usage.ru_utime + usage.ru_stime, 2), usage.ru_maxrss * 1024)


def interval(estimate: Estimate) -> dict[str, float]:
    """Return an estimate for a results file."""
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
