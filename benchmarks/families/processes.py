"""Work in fresh processes with a hard time limit: forked from one server that has imported the libraries."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

IMPORTED: Final = (
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pyarrow.parquet",
    "scipy.stats",
    "sympy",
    "torch.onnx",
    "torch.export",
    "transformers",
    "transformers.pipelines",
    "benchmarks.families.checking",
    "benchmarks.families.trying",
    "compression_runner.commands.plan",
    "compression_runner.commands.run",
    "compression_runner.pipeline.run",
    "compression_runner.formats.export",
)
"""What every process would import by itself, in seconds."""
LATE: Final = "it did not end in {:g} s and was killed"


class Server:
    """Gives out processes, each with an address space of its own."""

    def __init__(self, limit_seconds: float, imported: Sequence[str] = IMPORTED) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(imported))
        self._limit = limit_seconds

    def call(self, log: Path, work: Callable[..., None], *arguments: Any) -> str:
        """Run `work` in a process; return what went wrong in one line, or nothing.

        All that the process writes goes to `log`. After the time limit it is killed, with all that it has started.
        """
        process = self._context.Process(target=_alone, args=(log, work, arguments), daemon=False)
        process.start()
        process.join(self._limit)
        if process.is_alive():
            if process.pid:
                with suppress(ProcessLookupError):  # a process that has hardly begun has no group yet
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()
            return LATE.format(self._limit)
        if process.exitcode == 0:
            return ""
        return _last_words(log) if process.exitcode == 1 else f"the process ended with {process.exitcode}"


def _alone(log: Path, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """The process: a group of its own, so that it can be killed with its children, and its output in a file."""
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    work(*arguments)


def _last_words(log: Path) -> str:
    """The last line of a traceback, which names the exception."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    starts = [index for index, line in enumerate(lines) if line.startswith("Traceback")]
    after = lines[starts[-1] + 1 :] if starts else lines[-1:]
    named = next((line for line in after if not line.startswith(" ")), "it ended without a word")
    return named[:240]
