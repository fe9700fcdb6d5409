"""Every location that a job reads or writes, with its field and the storage settings that reach it."""

from collections.abc import Iterator
from dataclasses import dataclass

from compressionjob.data import EvaluationData
from compressionjob.locations import Location, Storage, parse_location
from compressionjob.spec import CompressionJobSpec, Model, Output


@dataclass(frozen=True)
class Place:
    """A location of a job: ``storage`` reaches it, and ``storage_field`` is where that stands, or belongs."""

    field: str
    location: Location
    written: bool
    storage: Storage
    storage_field: str


def places(spec: CompressionJobSpec) -> Iterator[Place]:
    """Return every location of a job, sources first."""
    for field, source in spec.sources():
        of_data = field.startswith("spec.data.")
        yield _place(spec, field, parse_location(source), spec.data.evaluation if of_data else spec.model)
    yield _place(spec, "spec.output.destination", parse_location(spec.output.destination), spec.output)
    yield _place(spec, "spec.output.reports", spec.output.reports_location, spec.output)
    yield _place(spec, "spec.output.checkpoints", spec.output.checkpoints_location, spec.output)


def _place(spec: CompressionJobSpec, field: str, location: Location, part: Model | EvaluationData | Output) -> Place:
    owner = {Model: "spec.model", EvaluationData: "spec.data.evaluation", Output: "spec.output"}[type(part)]
    storage_field = f"{owner}.storage" if part.storage is not None else "spec.storage"
    return Place(field, location, isinstance(part, Output), spec.storage_of(part), storage_field)
