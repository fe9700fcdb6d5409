"""Mounts below the cluster's folders."""

import re
from collections.abc import Sequence
from pathlib import Path

from localcluster.command import run


def below(folders: Sequence[Path]) -> list[Path]:
    """Return the mount points at or below these folders, in reverse order of mounting."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # proc(5): the mount point is field 5; blanks in it are octal escapes.
        point = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split()[4]))
        if any(point.is_relative_to(folder) for folder in folders):
            points.append(point)
    return points[::-1]


def unmount(folders: Sequence[Path]) -> None:
    """Unmount everything at or below these folders, after its users have ended."""
    for point in below(folders):
        # --lazy: the users have ended, but the kernel may not have finished their exit.
        run(["umount", "--lazy", point])
