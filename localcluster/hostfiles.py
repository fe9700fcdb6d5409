"""A container layer of Debian packages that this machine has, as its package manager lists their files."""

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
"""Raise it when the same packages give another layer."""
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*")


@dataclass(frozen=True)
class Package:
    """An installed package; one alternative of each need is enough."""

    name: str
    architecture: str
    version: str
    needs: tuple[tuple[str, ...], ...]


def installed() -> dict[str, Package]:
    """Return the machine's packages by name, without those of a foreign architecture."""
    ours = (run(["dpkg", "--print-architecture"]).strip(), "all")
    found: dict[str, Package] = {}
    for line in run(["dpkg-query", "--show", f"--showformat={_FIELDS}"]).splitlines():
        name, architecture, version, status, needs = line.split("\t")
        if status == "installed" and architecture in ours:
            found[name] = Package(name, architecture, version, _needs(needs))
    return found


def _needs(text: str) -> tuple[tuple[str, ...], ...]:
    alternatives = (need.split("|") for need in text.split(",") if need.strip())
    return tuple(tuple(match[0] for name in names if (match := _NAME.match(name.strip()))) for names in alternatives)


def closure(wanted: Sequence[str], packages: Mapping[str, Package]) -> list[Package]:
    """Return the wanted packages and all that they need, by name.

    A need that no package meets by its name is a virtual one, and left out. Raises LocalClusterError where a wanted
    package is not installed.
    """
    missing = sorted(set(wanted) - packages.keys())
    if missing:
        raise LocalClusterError(f"Debian packages are missing. Run `apt-get install {' '.join(missing)}` as root.")
    found: dict[str, Package] = {}
    waiting = list(wanted)
    while waiting:
        package = packages[waiting.pop()]
        if package.name not in found:
            found[package.name] = package
            met = (next((name for name in names if name in packages), None) for names in package.needs)
            waiting += [name for name in met if name]
    return [found[name] for name in sorted(found)]


def write_layer(target: Path, packages: Sequence[Package], *, more: Sequence[Path], excluded: Sequence[str]) -> Path:
    """Write a tar file with the packages' files, their byte code, and more files or folders."""
    names = [f"{package.name}:{package.architecture}" for package in packages]
    listed = run(["dpkg-query", "--listfiles", *names]).splitlines()
    wanted = {Path(line) for line in listed if line.startswith("/") and not _matches(line, excluded)} - {Path("/")}
    wanted |= {item for path in more for item in (path, *path.rglob("*"))}
    with tarfile.open(target, "w") as archive:
        for place in sorted({_place(path) for path in [*wanted, *_byte_code(wanted)]}):
            # A machine may leave out what its packages list, and folders hold what belongs to other packages, too.
            if os.path.lexists(place):
                archive.add(place, str(place).lstrip("/"), recursive=False)
    return target


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _place(path: Path) -> Path:
    # Packages list files below /lib where that is a link to /usr/lib.
    return path.parent.resolve() / path.name


def _byte_code(paths: set[Path]) -> Iterator[Path]:
    for folder in {path.parent / "__pycache__" for path in paths if path.suffix == ".py"}:
        if folder.is_dir():
            yield folder
            yield from folder.iterdir()
