"""Outcomes in the user's cache, each with a key of everything that it depends on, and published outcomes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.families.catalog import ROOT, Family
from benchmarks.families.methods import Variant
from benchmarks.tooling import CACHE
from compression_runner.pipeline.planner import EXPORT
from tests.methods.sources import Sources

KEPT: Final = CACHE / "families"
PUBLISHED: Final = Path(__file__).parent / "results.json"
COMPARISON: Final = "baseline"
"""Stands for the method in the comparison of the baseline with the library."""
ENTRIES: Final = ("benchmarks/families/trying.py", "benchmarks/families/checking.py")
"""The modules that compute outcomes; with their imports, they include the runner."""


def sources_digest(root: Path = ROOT) -> str:
    """Return the hash of the code that outcomes depend on, and of the locked libraries."""
    files = Sources(root).dependencies(*(root / entry for entry in ENTRIES))
    counted = {file for file in files if file.suffix == ".py" or file.is_relative_to(root / "jobs")}
    digest = hashlib.sha256()
    for file in sorted({*counted, root / "uv.lock"}):
        digest.update(f"{file.relative_to(root)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Store:
    """Outcomes by family and method."""

    sources: str
    root: Path = KEPT

    def key(self, family: Family, variant: Variant | None) -> str:
        """Return the hash of the family, the stage and the sources."""
        parts = [family.digest, variant.stage if variant else COMPARISON, self.sources]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    def get(self, family: Family, variant: Variant | None) -> dict[str, Any] | None:
        """Return the outcome with this key; None if there is none."""
        try:
            kept: dict[str, Any] = json.loads(self._place(family, variant).read_text())
        except (OSError, ValueError):
            return None
        return kept["outcome"] if kept.get("key") == self.key(family, variant) else None

    def put(self, family: Family, variant: Variant | None, outcome: Mapping[str, Any]) -> None:
        """Store an outcome with the version of its method."""
        place = self._place(family, variant)
        place.parent.mkdir(parents=True, exist_ok=True)
        versioned = {**outcome, "version": version_of(variant)}
        fresh = place.with_suffix(".part")
        fresh.write_text(json.dumps({"key": self.key(family, variant), "outcome": versioned}))
        fresh.replace(place)

    def _place(self, family: Family, variant: Variant | None) -> Path:
        name = variant.slug if variant else COMPARISON
        return self.root / "outcomes" / family.task / family.name / f"{name}.json"


def version_of(variant: Variant | None) -> int:
    """Return the current version of a method, or of the export for the comparison of the baseline."""
    return variant.version if variant else EXPORT.version


def publish(store: Store, families: Sequence[Family], variants: Sequence[Variant], path: Path = PUBLISHED) -> None:
    """Add the store's outcomes of these families to the published ones."""
    before = published(families, path)
    content = json.loads(path.read_text()) if path.is_file() else {}
    for family in families:
        tried = {variant.title if variant else COMPARISON: store.get(family, variant) for variant in (None, *variants)}
        known = before.get(family.title, {})
        outcomes = {name: outcome or known.get(name) for name, outcome in tried.items()}
        content[family.title] = {
            "family": family.digest,
            "outcomes": {name: outcome for name, outcome in outcomes.items() if outcome is not None},
        }
    fresh = path.with_suffix(".part")
    fresh.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    fresh.replace(path)


def published(families: Sequence[Family], path: Path = PUBLISHED) -> dict[str, dict[str, Any]]:
    """Return the published outcomes by family, except of families that have changed."""
    content = json.loads(path.read_text()) if path.is_file() else {}
    kept = {family.title: content.get(family.title, {}) for family in families}
    return {
        family.title: kept[family.title]["outcomes"]
        for family in families
        if kept[family.title].get("family") == family.digest
    }
