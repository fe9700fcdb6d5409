"""The families of samples/families.yaml."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from compressionjob.tasks import Task

ROOT: Final = Path(__file__).parents[2]
FAMILIES: Final = ROOT / "samples" / "families.yaml"


@dataclass(frozen=True)
class Family:
    """One family for one task: the parts of its tiny model."""

    name: str
    task: Task
    config: str
    sizes: Mapping[str, Any]
    data: str
    tokenizer: str | None = None
    processor: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    pooling: str = "mean"

    @property
    def title(self) -> str:
        """The task and the name, which identify results."""
        return f"{self.task}/{self.name}"

    @property
    def digest(self) -> str:
        """Return the hash of all parts of the tiny model."""
        return hashlib.sha256(json.dumps(vars(self), sort_keys=True).encode()).hexdigest()[:16]


def families(path: Path = FAMILIES) -> list[Family]:
    """Return every family for each of its tasks, in the order of the file."""
    entries = yaml.safe_load(path.read_text())["families"]
    return [
        Family(task=task, **{key: value for key, value in entry.items() if key != "tasks"})
        for entry in entries
        for task in entry["tasks"]
    ]


def diverse(chosen: Sequence[Family]) -> list[Family]:
    """Return families in an order that shows differences early: one architecture after the other, task by task."""
    seen: Counter[str] = Counter()
    of_task: Counter[str] = Counter()
    places = {}
    for family in chosen:
        places[family.title] = (seen[family.config], of_task[family.task])
        seen[family.config] += 1
        of_task[family.task] += 1
    return sorted(chosen, key=lambda family: places[family.title])
