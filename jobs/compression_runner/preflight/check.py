"""Everything that can be known before weights move, in one go."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compression_runner import artifact as artifacts
from compression_runner.errors import InvalidInput
from compression_runner.pipeline.places import Places
from compression_runner.pipeline.planner import Plan, make_plan
from compression_runner.preflight.forecast import disk_forecast, memory_forecast
from compression_runner.preflight.resources import MemoryForecast, check_disk, check_memory, memory_limit
from compression_runner.preflight.source import Source, inspect
from compression_runner.storage import Entry, Store
from compressionjob.spec import CompressionJob, CompressionJobSpec

DATA_FIELD = "spec.data.evaluation.source"
DATA_SUFFIXES = (".parquet", ".jsonl", ".csv", ".npz")


@dataclass(frozen=True)
class Prepared:
    """What preflight found: the source, the plan, the data's file, and what the run will need."""

    source: Source
    plan: Plan
    data: Entry
    memory: MemoryForecast
    disk_bytes: int
    existing: dict[str, Any] | None
    """artifact.json at the destination, where there is one."""


def preflight(spec: CompressionJobSpec, places: Places) -> Prepared:
    """Looks at source, data, destination, memory and disk.

    Raises InvalidInput, BadRecipe, StorageUnavailable or DiskFull for what would fail later.
    """
    source = inspect(places.model, spec.model)
    plan = make_plan(spec, source)
    data = _data_file(places.data)
    existing = _existing(places.destination)
    _check_destination(places, plan, existing)
    memory = memory_forecast(plan, source)
    check_memory(memory, memory_limit())
    disk = disk_forecast(plan, source, data.size)
    places.workdir.mkdir(parents=True, exist_ok=True)
    check_disk(places.workdir, disk - _present(places.workdir))
    return Prepared(source, plan, data, memory, disk, existing)


def is_ours(existing: dict[str, Any] | None, plan: Plan) -> bool:
    """Whether what lies at the destination is this very plan's result, from a run before."""
    return existing is not None and existing.get("provenance", {}).get("fingerprint") == plan.fingerprint


def is_from(existing: dict[str, Any] | None, job: CompressionJob) -> bool:
    """Whether this very job published what lies at the destination, in a try before; another job's is not ours to take.

    Without a cluster jobs have no uid, and nothing is known to be theirs.
    """
    told = (existing or {}).get("provenance", {}).get("job", {})
    return bool(job.metadata.uid) and told.get("uid") == job.metadata.uid


def _data_file(store: Store) -> Entry:
    entries = [entry for entry in store.list() if entry.path.lower().endswith(DATA_SUFFIXES)]
    if len(entries) != 1:
        found = f"there are {len(entries)} files of these types" if entries else "no such file lies there"
        remedy = f"name one file that ends in {', '.join(DATA_SUFFIXES)}"
        raise InvalidInput("InvalidData", DATA_FIELD, store.url, found, remedy)
    if entries[0].size == 0:
        raise InvalidInput("InvalidData", DATA_FIELD, store.url, "the file is empty", "give data with at least one row")
    return entries[0]


def _existing(destination: Store) -> dict[str, Any] | None:
    if destination.find(artifacts.MARKER) is None:
        return None
    try:
        content = json.loads(destination.read(artifacts.MARKER))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _check_destination(places: Places, plan: Plan, existing: dict[str, Any] | None) -> None:
    if existing is not None and not places.overwrite and not is_ours(existing, plan):
        problem = f"another artifact ({str(existing.get('digest'))[:19]}) lies there"
        remedy = "name another destination, or set spec.output.overwrite: true"
        raise InvalidInput("DestinationNotEmpty", "spec.output.destination", places.destination.url, problem, remedy)
    places.destination.require_replaceable(artifacts.MARKER)


def _present(workdir: Path) -> int:
    """Bytes of earlier runs in the work directory, which this one uses again."""
    return sum(place.stat().st_size for place in workdir.rglob("*") if place.is_file())
