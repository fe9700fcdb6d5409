"""Servers that run during a `with` block, and never longer than the process."""

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
    """Server processes with a temporary folder, which has a log file NAME.log for each."""

    def __init__(self, folder: Path, group: int) -> None:
        """Set the folder, and the process group of the watcher, which servers will join."""
        self.folder = folder
        self._group = group
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> int:
        """Start a server without waiting for it; return its process id."""
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
        """Wait until ready() is true. Raises LocalClusterError with the log if a server ends or the time is over."""
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
        """Kill a server and wait for its end. Its data stays, as after a crash."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def stop_all(self) -> None:
        """Kill all servers and wait for their ends."""
        for process in self._running.values():
            process.kill()
        for name in list(self._running):
            self.stop(name)

    def _tail(self, name: str) -> str:
        lines = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])


@contextmanager
def servers(prefix: str) -> Iterator[Servers]:
    """Yield an empty set of servers; afterwards stop all of them and remove their folder."""
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
