"""Processes that outlive the command that started them, and end when `down` says so.

Each process writes its own record before it becomes the program, so there is no moment at which one runs unrecorded.
A record has the process id and its start time (and the boot it belongs to): a recycled id is never mistaken for ours.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster import paths
from localcluster.errors import LocalClusterError

RECORDS = paths.RUN / "processes"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
# The shell joins the cgroups of `down`, notes who it is, and becomes the program.
_LAUNCHER = """
record=$1; shift
groups=$1; shift
for group in $groups; do echo $$ > "$group/cgroup.procs"; done
{ cat /proc/sys/kernel/random/boot_id; cat /proc/$$/stat; } > "$record"
exec "$@"
"""
_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Identity:
    """A process for as long as it lives: its id and its start in clock ticks since boot."""

    pid: int
    start: int

    def is_alive(self) -> bool:
        """Tell whether this very process runs (a zombie does not)."""
        return identify(self.pid) == self

    def executable(self) -> Path | None:
        """Return the program that it runs, or None when it or its file is gone."""
        try:
            return Path(f"/proc/{self.pid}/exe").readlink() if self.is_alive() else None
        except FileNotFoundError:
            return None

    def signal(self, number: int) -> None:
        """Send a signal, unless the process is gone."""
        if self.is_alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def identify(pid: int) -> Identity | None:
    """Return the identity of the live process with this id, or None."""
    try:
        return _parse(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def _parse(stat: str) -> Identity | None:
    # proc(5): the name in parentheses may hold spaces; state is field 3 and starttime field 22.
    pid, rest = stat.split(" (", 1)
    fields = rest.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else Identity(int(pid), int(fields[19]))


def start(
    name: str,
    argv: Sequence[str | Path],
    log: Path,
    *,
    cgroups: Iterable[Path] = (),
    env: Mapping[str, str] | None = None,
) -> None:
    """Start a recorded process in its own session, with its output appended to the log."""
    RECORDS.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    groups = " ".join(str(group) for group in cgroups)
    with log.open("ab") as output:
        # setsid forks: nobody here is the parent who would have to wait for it.
        subprocess.run(
            ["setsid", "--fork", "/bin/sh", "-ec", _LAUNCHER, "launcher", str(RECORDS / name), groups,
             *(str(word) for word in argv)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**os.environ, **(env or {})},
            check=True,
        )  # fmt: skip


def recorded(name: str) -> Identity | None:
    """Return the live process of that name, or None when it never ran, has ended, or ran before the last boot."""
    try:
        boot, stat = (RECORDS / name).read_text().split("\n", 1)
    except (FileNotFoundError, ValueError):
        return None
    if boot != _BOOT.read_text().strip() or not stat.strip():
        return None
    identity = _parse(stat)
    return identity if identity and identity.is_alive() else None


def names() -> list[str]:
    """Return the names of all records, of live and ended processes."""
    return sorted(path.name for path in RECORDS.iterdir()) if RECORDS.exists() else []


def stop(wanted: Sequence[str]) -> None:
    """End recorded processes together and forget their records."""
    # Their data goes with them, so nobody gains from a slow farewell.
    end([identity for name in wanted if (identity := recorded(name))], grace=0.0)
    for name in wanted:
        (RECORDS / name).unlink(missing_ok=True)


def end(identities: Sequence[Identity], grace: float = _GRACE_SECONDS) -> None:
    """End processes: SIGTERM, and after the grace period SIGKILL; raises LocalClusterError if one survives that."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, _GRACE_SECONDS)):
        for identity in identities:
            identity.signal(number)
        if _wait(identities, seconds):
            return
    alive = [str(identity.pid) for identity in identities if identity.is_alive()]
    raise LocalClusterError(f"Processes {', '.join(alive)} survived SIGKILL: look for a hung file system in `dmesg`.")


def _wait(identities: Sequence[Identity], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(identity.is_alive() for identity in identities):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True
