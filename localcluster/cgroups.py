"""The control groups of all processes of the cluster, by which `down` finds them.

The shims of containerd and the containers are not child processes, but they cannot leave their group.
"""

import os
import signal
import time
from pathlib import Path

from localcluster.errors import LocalClusterError

_MOUNT = Path("/sys/fs/cgroup")
_NAME = "compression-operator"
KUBELET_ROOT = f"/{_NAME}"
_SECONDS = 20.0


def create() -> list[Path]:
    """Create the groups in every hierarchy (cgroup version 1 or 2) and return those that components join."""
    if _is_unified():
        _delegate(_MOUNT)
        _group(_MOUNT).mkdir(exist_ok=True)
        _delegate(_group(_MOUNT))
    for hierarchy in _hierarchies():
        group = _group(hierarchy)
        group.mkdir(exist_ok=True)
        # An empty cpuset accepts no process, and the kernel does not fill a new one.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not _is_unified() and (hierarchy / name).exists():
                (group / name).write_text((hierarchy / name).read_text())
    # One hierarchy is enough to find a process. It sets no limits.
    tracked = _MOUNT if _is_unified() else _MOUNT / "pids"
    members = _group(tracked) / "components"
    members.mkdir(exist_ok=True)
    return [members]


def members() -> set[int]:
    """Return the ids of all processes in the groups."""
    pids: set[int] = set()
    for hierarchy in _hierarchies():
        for path in _group(hierarchy).rglob("cgroup.procs"):
            try:
                pids.update(int(line) for line in path.read_text().split())
            except OSError:  # the group was removed, or (version 2) it does not list processes
                continue
    return pids - {0}


def exists() -> bool:
    """Return whether any of the groups exists."""
    return any(_group(hierarchy).exists() for hierarchy in _hierarchies())


def remove() -> None:
    """Kill all processes in the groups and remove the groups. Raises LocalClusterError if that fails."""
    deadline = time.monotonic() + _SECONDS
    while exists():
        for pid in members():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for hierarchy in _hierarchies():
            _remove_tree(_group(hierarchy))
        if time.monotonic() > deadline:
            raise LocalClusterError(f"Processes {sorted(members())} or their cgroups /{_NAME} cannot be removed.")
        time.sleep(0.05)


def _remove_tree(group: Path) -> None:
    for path in sorted(group.rglob("*"), reverse=True):
        if path.is_dir():
            _rmdir(path)
    _rmdir(group)


def _rmdir(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:  # already removed, or a killed process has not ended yet: the caller retries
        return


def _group(hierarchy: Path) -> Path:
    return hierarchy / _NAME


def _is_unified() -> bool:
    return (_MOUNT / "cgroup.controllers").exists()


def _hierarchies() -> list[Path]:
    if _is_unified():
        return [_MOUNT]
    return [path for path in _MOUNT.iterdir() if not path.is_symlink() and (path / "cgroup.procs").exists()]


def _delegate(group: Path) -> None:
    controllers = (group / "cgroup.controllers").read_text().split()
    (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
