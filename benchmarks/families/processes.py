"""Run functions in fresh processes with a hard time limit, forked from a server that has imported the libraries."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
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
"""Modules that every process needs, and that take seconds to import."""
LATE: Final = "it did not end in {:g} s and was killed"


class Server:
    """Starts processes, each with its own address space."""

    def __init__(self, limit_seconds: float, imported: Sequence[str] = IMPORTED) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(imported))
        self._limit = limit_seconds

    def worker(self) -> "Worker":
        """Return a process for several calls; it starts with the first."""
        return Worker(self._context, self._limit)

    def call(self, log: Path, work: Callable[..., None], *arguments: Any) -> str:
        """Run `work` in its own process; return an error in one line, or an empty string."""
        with self.worker() as worker:
            return worker.call(log, work, *arguments)


class Worker:
    """A process for successive calls, so that libraries initialize only once.

    After an error, the process is replaced, so that a failure cannot affect the next call.
    """

    def __init__(self, context: ForkServerContext, limit_seconds: float) -> None:
        self._context, self._limit = context, limit_seconds
        self._running: tuple[ForkServerProcess, Connection] | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def is_fresh(self) -> bool:
        """Whether the next call is the first of its process."""
        return self._running is None

    def call(self, log: Path, work: Callable[..., None], *arguments: Any) -> str:
        """Run `work` and wait for it; return an error in one line, or an empty string.

        The output of the process goes to `log`. After the time limit, the process and its children are killed.
        """
        if self._running is None:
            self._running = self._start()
        process, pipe = self._running
        try:
            pipe.send((log, work, arguments))
            wrong = str(pipe.recv()) if pipe.poll(self._limit) else LATE.format(self._limit)
        except (EOFError, OSError):
            process.join()
            wrong = _last_words(log) if process.exitcode == 1 else f"the process ended with {process.exitcode}"
        if wrong:
            self.close()
        return wrong

    def close(self) -> None:
        """Kill the process and its children."""
        if self._running is None:
            return
        process, pipe = self._running
        self._running = None
        pipe.close()
        if process.pid:
            with suppress(ProcessLookupError):  # a process that has hardly begun, or is over, has no group
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()

    def _start(self) -> "tuple[ForkServerProcess, Connection]":
        here, there = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(there,), daemon=False)
        process.start()
        there.close()
        return process, here


def _serve(pipe: Connection) -> None:
    """Serve calls, in a process group that can be killed with its children."""
    os.setsid()
    while True:
        try:
            log, work, arguments = pipe.recv()
        except EOFError:
            return
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.close(output)
        work(*arguments)
        pipe.send("")


def _last_words(log: Path) -> str:
    """Return the last line of a traceback, which names the exception."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    starts = [index for index, line in enumerate(lines) if line.startswith("Traceback")]
    after = lines[starts[-1] + 1 :] if starts else lines[-1:]
    named = next((line for line in after if not line.startswith(" ")), "it ended without a word")
    return named[:240]
