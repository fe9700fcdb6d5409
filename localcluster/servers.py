"""Servers that live as long as a `with` block and never longer than the process that holds it."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from localcluster import paths
from localcluster.errors import LocalClusterError

_LOG_LINES = 20


class Servers:
    """Processes in one temporary folder, each with a log file NAME.log there."""

    def __init__(self, folder: Path, group: int) -> None:
        """Start nothing yet; servers will join the watcher's process group."""
        self.folder = folder
        self._group = group
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> int:
        """Start a server, without waiting for it, and return its process id."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=env,
                process_group=self._group,
            )
        self._running[name] = process
        return process.pid

    def wait(self, what: str, ready: Callable[[], bool], seconds: float = 180.0) -> None:
        """Wait until ready() is true; raises LocalClusterError with the log when a server ended or time ran out."""
        deadline = time.monotonic() + seconds
        while not ready():
            for name, process in self._running.items():
                if process.poll() is not None:
                    raise LocalClusterError(f"{name} ended with {process.returncode}:\n{self._tail(name)}")
            if time.monotonic() > deadline:
                tails = "\n".join(f"{name}: {self._tail(name)}" for name in self._running)
                raise LocalClusterError(f"{what} is not ready after {seconds:.0f} s:\n{tails}")
            time.sleep(0.05)

    def stop(self, name: str) -> None:
        """Kill one server and wait for its end; its data stays, as after a crash."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def stop_all(self) -> None:
        """Kill every server and wait for its end."""
        for process in self._running.values():
            process.kill()
        for name in list(self._running):
            self.stop(name)

    def _tail(self, name: str) -> str:
        lines = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])


@contextmanager
def servers(prefix: str) -> Iterator[Servers]:
    """Give an empty set of servers, and end all of them and remove their folder afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"compression-operator-{prefix}-"))
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", paths.SOURCES / "watcher.py", folder], stdin=subprocess.PIPE, process_group=0
    )
    started = Servers(folder, watcher.pid)
    try:
        yield started
    finally:
        started.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
        watcher.communicate()
