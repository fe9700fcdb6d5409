"""Compare uv.lock with a local copy of the OSV database: ``python -m images.advisories FOLDER``.

FOLDER is the unpacked archive of the database for PyPI: advisories in OSV's format, one JSON file each. It needs no
network and installs nothing. It exits with 1 if a locked package has an advisory, and with 2 if the folder has none.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from images.lock import EXTRAS, LOCK, Locked, locked


@dataclass(frozen=True, order=True)
class Finding:
    """An advisory for a locked package."""

    package: str
    version: str
    advisory: str
    aliases: tuple[str, ...]
    fixed: str
    summary: str

    def __str__(self) -> str:
        names = f" ({', '.join(self.aliases)})" if self.aliases else ""
        remedy = f"fixed in {self.fixed}" if self.fixed else "no fixed version is known"
        return f"{self.package} {self.version}: {self.advisory}{names}: {self.summary}; {remedy}"


def findings(packages: Iterable[Locked], advisories: Iterable[dict[str, Any]]) -> list[Finding]:
    """Return the advisories for these packages, sorted. Withdrawn advisories do not count."""
    known: dict[str, list[Locked]] = {}
    for package in packages:
        known.setdefault(str(canonicalize_name(package.name)), []).append(package)
    matches = set()
    for advisory in advisories:
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected", ()):
            identity = affected.get("package", {})
            names = known.get(str(canonicalize_name(str(identity.get("name", ""))))) or ()
            for package in names if identity.get("ecosystem") == "PyPI" else ():
                if _is_affected(package.version, affected):
                    matches.add(_finding(package, advisory, affected))
    return sorted(matches)


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the advisories in a folder. Raises ValueError for another JSON file."""
    for path in sorted(folder.rglob("*.json")):
        content = json.loads(path.read_text())
        if not isinstance(content, dict) or "id" not in content:
            raise ValueError(f"{path} is not an advisory in OSV's format")
        yield content


def main(arguments: list[str] | None = None) -> int:
    """Print the findings; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m images.advisories", description="compare uv.lock with advisories")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="advisories in OSV's format, one JSON file each")
    parser.add_argument("--lock", type=Path, default=LOCK, metavar="FILE", help="uv.lock by default")
    parser.add_argument("--ignore", action="append", default=[], metavar="ID", help="an advisory that does not apply")
    options = parser.parse_args(arguments)
    try:
        advisories = list(read(options.folder))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if not advisories:
        sys.stderr.write(f"{options.folder} has no advisories: unpack the archive of OSV's database for PyPI there\n")
        return 2
    packages = locked(EXTRAS, options.lock)
    relevant = [it for it in findings(packages, advisories) if not {it.advisory, *it.aliases} & set(options.ignore)]
    for item in relevant:
        sys.stdout.write(f"{item}\n")
    sys.stdout.write(f"{len(packages)} packages, {len(advisories)} advisories, {len(relevant)} findings\n")
    return 1 if relevant else 0


def _is_affected(version: str, affected: dict[str, Any]) -> bool:
    if version in affected.get("versions", ()):
        return True
    try:
        parsed = Version(version)
        return any(
            _in_range(parsed, item.get("events", ())) for item in affected.get("ranges", ()) if _is_version(item)
        )
    except InvalidVersion:
        return False


def _is_version(item: dict[str, Any]) -> bool:
    """Return whether a range is of versions rather than of commits."""
    return item.get("type") in ("ECOSYSTEM", "SEMVER")


def _in_range(version: Version, events: Iterable[dict[str, str]]) -> bool:
    """Return whether a version is in a range. The last event at or before it decides."""
    inside = False
    order = sorted(
        ((kind, text) for event in events for kind, text in event.items()), key=lambda it: _parse_version(it[1])
    )
    for kind, text in order:
        if kind == "introduced" and version >= _parse_version(text):
            inside = True
        elif (kind == "fixed" and version >= _parse_version(text)) or (
            kind == "last_affected" and version > _parse_version(text)
        ):
            inside = False
    return inside


def _parse_version(text: str) -> Version:
    return Version("0.dev0") if text == "0" else Version(text)


def _finding(package: Locked, advisory: dict[str, Any], affected: dict[str, Any]) -> Finding:
    events = (event for item in affected.get("ranges", ()) if _is_version(item) for event in item.get("events", ()))
    fixed = [
        event["fixed"]
        for event in events
        if "fixed" in event and _parse_version(event["fixed"]) > Version(package.version)
    ]
    return Finding(
        package.name,
        package.version,
        str(advisory["id"]),
        tuple(sorted(str(item) for item in advisory.get("aliases", ()))),
        min(fixed, key=_parse_version, default=""),
        str(advisory.get("summary") or advisory.get("details", "")).partition("\n")[0][:120],
    )


if __name__ == "__main__":
    sys.exit(main())
