"""Record the versions behind a published result, and detect changes that make it stale.

A result names its machine and its libraries, so a different machine or library alone does not make it stale.
"""

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.methods.cases import CASES, Case
from compression_runner.methods.registry import METHODS as BY_KEY
from compression_runner.methods.registry import title_of
from compressionjob.methods.registry import METHODS as STAGES

Record = Mapping[str, Mapping[str, Any]]
"""By name: versions of methods, versions of libraries, digests of examples."""
Stale = Mapping[str, list[str]]
"""Row of a table -> changes since it was measured."""

MARK: Final = "†"
METHODS: Final = {title_of(key): method for key, method in BY_KEY.items()}
"""The runner's methods by their titles: ``prune``, ``quantize dynamic``."""


@dataclass(frozen=True)
class Current:
    """The current versions of all methods, and the digests of all examples."""

    methods: Mapping[str, int]
    examples: Mapping[str, str]


def current() -> Current:
    """Return the versions in the registry and the digests of `examples/local`."""
    methods = {name: method.version for name, method in METHODS.items()}
    return Current(methods, {case.name: case.digest() for case in CASES})


def methods_of(report: Mapping[str, Any]) -> set[str]:
    """Return the titles of the methods that ran, including conversions and stages that were given up."""
    whole_pipeline = (report.get("fallback") or {}).get("stages", [])
    stages = [*report["stages"], *whole_pipeline]
    return {method_title(stage["method"], stage.get("parameters", {})) for stage in stages}


def method_title(stage: str, parameters: Mapping[str, Any]) -> str:
    """Return the title of a stage's method."""
    family = STAGES.get(stage)
    variant = family.model_validate(parameters).chosen().variant if family else ""
    return title_of((stage, variant))


def made_with(
    methods: Iterable[str],
    examples: Iterable[Case] = (),
    library_version: Callable[[str], str | None] = importlib.metadata.version,
) -> dict[str, dict[str, Any]]:
    """Return the record of a new result, without libraries whose version is None."""
    used = {name: METHODS[name] for name in sorted(methods)}
    libraries = sorted({library for method in used.values() for library in method.libraries})
    versions = {library: library_version(library) for library in libraries}
    return {
        "examples": {case.name: case.digest() for case in examples},
        "methods": {name: method.version for name, method in used.items()},
        "libraries": {library: version for library, version in versions.items() if version is not None},
    }


def stale_rows(records: Mapping[str, Record | None], now: Current) -> dict[str, list[str]]:
    """Return the stale rows, each with its reasons."""
    return {row: changes for row, record in sorted(records.items()) if (changes := reasons(record, now))}


def reasons(record: Record | None, now: Current) -> list[str]:
    """Return the changes since a result was measured; empty if it is not stale."""
    if record is None:
        return ["the versions of its methods are unknown"]
    examples = ["the example" for name, digest in record["examples"].items() if now.examples.get(name) != digest]
    methods = [
        f"{name} {version} → {now.methods.get(name, 'removed')}"
        for name, version in record["methods"].items()
        if now.methods.get(name) != version
    ]
    return examples + methods


def note(stale: Stale, command: str, mark: str = "") -> str:
    """Return a paragraph and a list of stale rows by change; empty without stale rows."""
    if not stale:
        return ""
    by_reason: dict[str, list[str]] = {}
    for row, changes in stale.items():
        by_reason.setdefault(", ".join(changes), []).append(row)
    items = "".join(f"- {reason}: {'; '.join(rows)}\n" for reason, rows in sorted(by_reason.items()))
    return (
        f"\n{mark}{' ' if mark else ''}Stale: since these results were measured, the version of one of their methods "
        f"has risen or their example has changed. `{command}` measures them again. What has changed:\n\n{items}"
    )
