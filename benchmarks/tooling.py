"""Other tools as processes: environments of their own, and what a run costs in seconds and memory."""

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


class ToolFailedError(RuntimeError):
    """A tool ended without a result."""


@dataclass(frozen=True)
class Cost:
    """What one run of a tool cost; memory is the peak of its largest process."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def interpreter_of(name: str, requirements: Path) -> Path:
    """Return the interpreter of a tool's own environment, made from pinned requirements where it is missing."""
    folder = CACHE / f"{name}-venv"
    uv = next((str(path) for path in (CACHE / "uv-tool" / "bin" / "uv",) if path.is_file()), "uv")
    subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(folder), "--requirements", str(requirements)]
    subprocess.run(install, check=True)
    return folder / "bin" / "python"


def timed(
    command: Sequence[str],
    more: Mapping[str, str],
    log: Path,
    accepted: tuple[int, ...] = (0,),
    heard: Callable[[int, str], None] = lambda _process, _line: None,
) -> Cost:
    """Run a command with `more` in its environment; `heard` gets its process id with each line that it writes.

    Raises ToolFailedError, with the end of what it said, for an exit status that is not accepted.
    """
    start = time.monotonic()
    piped = subprocess.Popen(command, env=os.environ | more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with log.open("wb", buffering=0) as output, piped as process:
        for line in process.stdout or ():
            output.write(line)
            heard(process.pid, line.decode(errors="replace"))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - start
    if process.returncode not in accepted:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        raise ToolFailedError(f"{Path(command[0]).name} ended with {process.returncode}:\n{tail}")
    return Cost(round(seconds, 2), round(usage.ru_utime + usage.ru_stime, 2), usage.ru_maxrss * 1024)


def interval(estimate: Estimate) -> dict[str, float]:
    """An estimate as results files have it."""
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
