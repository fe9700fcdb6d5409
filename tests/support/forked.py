"""Processes of their own that start with the runner's libraries imported.

A fork server imports them once for all tests of a worker. It runs nothing itself, so a process has no threads, sessions
or files of another one. The import takes 3 to 9 s of CPU time, and all else in a run on a tiny model about one.
"""

import multiprocessing
import os
import resource
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from typing import Final

from compression_runner.__main__ import main
from compression_runner.commands.secret_handover import SECRET_NAMES, hand_over

FORKED: Final = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["tests.support.imported_by_runs", __name__])


class ForkedRunner:
    """The runner's command line in a forked process, with the streams of the process in files."""

    def __init__(
        self, arguments: Sequence[object], environment: Mapping[str, str] = os.environ, largest_file: int | None = None
    ) -> None:
        """Start a command with an environment; `largest_file` is the size in bytes of the largest file it may write."""
        self.arguments = [str(argument) for argument in arguments]
        self._folder = tempfile.TemporaryDirectory(prefix="runner-")
        self._process: BaseProcess = FORKED.Process(
            target=_run, args=(self.arguments, dict(environment), Path(self._folder.name), largest_file)
        )
        self._process.start()

    @property
    def pid(self) -> int | None:
        """The number of the process."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self._process.is_alive()

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal, or None while the process runs."""
        return self._process.exitcode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def end(self, timeout: float) -> CompletedProcess[str]:
        """Wait for the end. After `timeout` seconds, kill the process and raise TimeoutExpired."""
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            self._process.kill()
            self._process.join()
        output, errors = (Path(self._folder.name, name).read_text() for name in STREAMS)
        self._folder.cleanup()
        if status is None:
            raise TimeoutExpired(self.arguments, timeout, output, errors)
        return CompletedProcess(self.arguments, status, output, errors)


STREAMS: Final = {"stdout": 1, "stderr": 2}
"""Names of the files in a process's folder, and the descriptors that they replace."""


def _run(arguments: list[str], environment: dict[str, str], folder: Path, largest_file: int | None) -> None:
    """Run a command as `python -m compression_runner` does, after a pod has started itself again without secrets."""
    for name, descriptor in STREAMS.items():
        with (folder / name).open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    secrets = {name: value for name, value in environment.items() if SECRET_NAMES.search(name)}
    if arguments == ["pod"] and secrets:
        rest = hand_over(secrets)
        os.environ.clear()
        os.environ.update(rest)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    try:
        status = main(arguments)
    except Exception:  # noqa: BLE001 - the hook reports it, as at the end of every program
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        status = 1
    sys.exit(status)
