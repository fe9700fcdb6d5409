"""Processes that continue after the command that started them, until `down` stops them.

Each process writes its own record before it executes the program, so none runs without a record. A record has the
process id, its start time and the boot id, so a reused process id is not mistaken for it.
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
# The shell joins the cgroups, writes its record, and executes the program.
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
    """The identity of a process: its id and its start in clock ticks since boot."""

    pid: int
    start: int

    def is_alive(self) -> bool:
        """Return whether this process runs. A zombie does not count."""
        return identify(self.pid) == self

    def executable(self) -> Path | None:
        """Return its program, None if the process or the file does not exist any more."""
        try:
            return Path(f"/proc/{self.pid}/exe").readlink() if self.is_alive() else None
        except FileNotFoundError:
            return None

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.is_alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def identify(pid: int) -> Identity | None:
    """Return the identity of the running process with this id, None if there is none."""
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
        # setsid forks, so this process is not the parent and need not wait for it.
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
    """Return the running process of that name, None if it has ended or never ran since the last boot."""
    try:
        boot, stat = (RECORDS / name).read_text().split("\n", 1)
    except (FileNotFoundError, ValueError):
        return None
    if boot != _BOOT.read_text().strip() or not stat.strip():
        return None
    identity = _parse(stat)
    return identity if identity and identity.is_alive() else None


def names() -> list[str]:
    """Return the names of all records, of running and ended processes."""
    return sorted(path.name for path in RECORDS.iterdir()) if RECORDS.exists() else []


def stop(wanted: Sequence[str]) -> None:
    """Stop recorded processes together and remove their records."""
    # Their data is removed too, so they need no grace period.
    end([identity for name in wanted if (identity := recorded(name))], grace=0.0)
    for name in wanted:
        (RECORDS / name).unlink(missing_ok=True)


def end(identities: Sequence[Identity], grace: float = _GRACE_SECONDS) -> None:
    """Stop processes by SIGTERM, and by SIGKILL after the grace period. Raises LocalClusterError if one survives."""
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
