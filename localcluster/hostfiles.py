"""A container layer with the files of Debian packages that are installed on this machine."""

import fnmatch
import os
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.command import run
from localcluster.errors import LocalClusterError

_FIELDS = "${Package}\t${Architecture}\t${Version}\t${db:Status-Status}\t${Pre-Depends}, ${Depends}\n"
FORMAT = 1
"""Version of the layer. Increase it when the same packages give another layer."""
INSTALLED = ("installed", "triggers-awaited", "triggers-pending")
"""dpkg's states of packages whose files are all there; the last two while another package is installed."""
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*")


@dataclass(frozen=True)
class Package:
    """An installed package. ``needs`` are its dependencies, each with alternatives."""

    name: str
    architecture: str
    version: str
    needs: tuple[tuple[str, ...], ...]


def installed() -> dict[str, Package]:
    """Return the machine's packages by name, without those for another architecture."""
    ours = (run(["dpkg", "--print-architecture"]).strip(), "all")
    packages: dict[str, Package] = {}
    for line in run(["dpkg-query", "--show", f"--showformat={_FIELDS}"]).splitlines():
        name, architecture, version, status, needs = line.split("\t")
        if status in INSTALLED and architecture in ours:
            packages[name] = Package(name, architecture, version, _needs(needs))
    return packages


def _needs(text: str) -> tuple[tuple[str, ...], ...]:
    alternatives = (need.split("|") for need in text.split(",") if need.strip())
    return tuple(tuple(match[0] for name in names if (match := _NAME.match(name.strip()))) for names in alternatives)


def closure(wanted: Sequence[str], packages: Mapping[str, Package]) -> list[Package]:
    """Return the wanted packages and their dependencies, sorted by name.

    A dependency that is no package's name is virtual and left out. Raises LocalClusterError if a wanted package is not
    installed.
    """
    missing = sorted(set(wanted) - packages.keys())
    if missing:
        raise LocalClusterError(f"Debian packages are missing. Run `apt-get install {' '.join(missing)}` as root.")
    included: dict[str, Package] = {}
    waiting = list(wanted)
    while waiting:
        package = packages[waiting.pop()]
        if package.name not in included:
            included[package.name] = package
            met = (next((name for name in names if name in packages), None) for names in package.needs)
            waiting += [name for name in met if name]
    return [included[name] for name in sorted(included)]


def write_layer(target: Path, packages: Sequence[Package], *, more: Sequence[Path], excluded: Sequence[str]) -> Path:
    """Write a tar file with the packages' files, their byte code, and more files or folders."""
    names = [f"{package.name}:{package.architecture}" for package in packages]
    listed = run(["dpkg-query", "--listfiles", *names]).splitlines()
    wanted = {Path(line) for line in listed if line.startswith("/") and not _matches(line, excluded)} - {Path("/")}
    wanted |= {item for path in more for item in (path, *path.rglob("*"))}
    with tarfile.open(target, "w") as archive:
        for path in sorted({_resolved(path) for path in [*wanted, *_byte_code(wanted)]}):
            # A machine may lack files that its packages list, and folders may have files of other packages.
            if os.path.lexists(path):
                archive.add(path, str(path).lstrip("/"), recursive=False)
    return target


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _resolved(path: Path) -> Path:
    # Packages list files below /lib even where it is a link to /usr/lib.
    return path.parent.resolve() / path.name


def _byte_code(paths: set[Path]) -> Iterator[Path]:
    for folder in {path.parent / "__pycache__" for path in paths if path.suffix == ".py"}:
        if folder.is_dir():
            yield folder
            yield from folder.iterdir()
