"""The examples to run, and the samples that they need."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import yaml

from compression_runner.evaluation.machine.description import machine
from compression_runner.methods.registry import METHODS, STEPS, Key
from compressionjob.pipeline import Stage

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples" / "local"
DATA: Final = EXAMPLES / "data"
SOURCE: Final = re.compile(r"file://\./data/([^/]+)")
# Samples from before each one had its own folder.
ELSEWHERE: Final = {"sentences.parquet": ("sentences", DATA)}


@dataclass(frozen=True)
class Case:
    """One example manifest."""

    path: Path

    @classmethod
    def named(cls, name: str) -> "Case":
        """Return the example with this name."""
        return cls(EXAMPLES / f"{name}.yaml")

    @property
    def name(self) -> str:
        """The example's name."""
        return self.path.stem

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Its content."""
        content: dict[str, Any] = yaml.safe_load(self.path.read_text())
        return content

    @property
    def samples(self) -> dict[str, Path]:
        """Sample name -> the folder where the example expects it."""
        spec = self.manifest["spec"]
        parts = [*spec["data"].values(), *spec["data"].get("tasks", ())]
        sources = [spec["model"]["source"], *(part["source"] for part in parts if "source" in part)]
        places = (match[1] for source in sources if (match := SOURCE.match(source)))
        return dict(ELSEWHERE.get(place, (place, DATA / place)) for place in places)

    def digest(self) -> str:
        """Return the hash of the manifest's content; comments and layout do not count."""
        return hashlib.sha256(json.dumps(self.manifest, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def fingerprint(self) -> str:
        """Return the hash of everything that a result depends on: manifest, methods, libraries, machine."""
        used = {key: METHODS[key] for key in self._methods}
        methods = {key: method.version for key, method in used.items()}
        libraries = {name: version(name) for method in used.values() for name in method.libraries}
        parts = [self.path.read_text(), sorted(methods.items()), sorted(libraries.items()), machine().to_json()]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    @property
    def _methods(self) -> set[Key]:
        """The methods that it names, and the steps that bring a model from one format into another."""
        return {Stage.model_validate(stage).key for stage in self.manifest["spec"]["pipeline"]} | STEPS.keys()


CASES: Final = [Case(path) for path in sorted(EXAMPLES.glob("*.yaml"))]


def prepared(case: Case) -> Case:
    """Create the missing samples of a case, and return it.

    Raises CalledProcessError if a sample cannot be created.
    """
    for name, place in case.samples.items():
        if not _complete(place, name):
            subprocess.run([sys.executable, "-m", "samples", name, str(place)], check=True, cwd=ROOT)
            _mark(place, name).touch()
    return case


def _complete(place: Path, name: str) -> bool:
    return _mark(place, name).is_file()


def _mark(place: Path, name: str) -> Path:
    return place / f".{name}-is-complete"
