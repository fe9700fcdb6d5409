"""Packages and versions in uv.lock for a set of extras."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

LOCK: Final = Path(__file__).parent.parent / "uv.lock"
PROJECT: Final = "compression-operator"
EXTRAS: Final = ("operator", "runner", "kubectl", "kubectl-s3")
"""Extras that images and users install, without test dependencies."""


@dataclass(frozen=True, order=True)
class Locked:
    """One package of the lock file."""

    name: str
    version: str
    extra: str = ""


def locked(extras: Iterable[str] = EXTRAS, lock: Path = LOCK) -> list[Locked]:
    """Return every package that these extras need on any platform of the lock file, sorted by name."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads(lock.read_text())["package"]:
        packages.setdefault(package["name"], []).append(package)
    (project,) = packages[PROJECT]
    groups = project.get("optional-dependencies", {})
    waiting = [*project.get("dependencies", ()), *(item for extra in extras for item in groups.get(extra, ()))]
    needed: set[Locked] = set()
    while waiting:
        item = waiting.pop()
        for package in packages[item["name"]]:
            for extra in ("", *item.get("extra", ())):
                entry = Locked(package["name"], package["version"], extra)
                if entry not in needed:
                    needed.add(entry)
                    waiting.extend(_needs(package, extra))
    return sorted({Locked(entry.name, entry.version) for entry in needed})


def _needs(package: dict[str, Any], extra: str) -> list[dict[str, Any]]:
    dependencies: list[dict[str, Any]] = (
        package.get("optional-dependencies", {}).get(extra, []) if extra else package.get("dependencies", [])
    )
    return dependencies
