"""The locations that a job reads or writes, with their fields and storage settings."""

from collections.abc import Iterator
from dataclasses import dataclass

from compressionjob.data import EvaluationData
from compressionjob.locations import Location, Storage, parse_location
from compressionjob.spec import CompressionJobSpec, Model, Output


@dataclass(frozen=True)
class JobLocation:
    """A location of a job. ``storage`` gives access to it, and ``storage_field`` is the field for these settings."""

    field: str
    location: Location
    written: bool
    storage: Storage
    storage_field: str


def job_locations(spec: CompressionJobSpec) -> Iterator[JobLocation]:
    """Yield every location of a job, sources first."""
    for field, source in spec.sources():
        of_data = field.startswith("spec.data.")
        yield _job_location(spec, field, parse_location(source), spec.data.evaluation if of_data else spec.model)
    yield _job_location(spec, "spec.output.destination", parse_location(spec.output.destination), spec.output)
    yield _job_location(spec, "spec.output.reports", spec.output.reports_location, spec.output)
    yield _job_location(spec, "spec.output.checkpoints", spec.output.checkpoints_location, spec.output)


def _job_location(
    spec: CompressionJobSpec, field: str, location: Location, part: Model | EvaluationData | Output
) -> JobLocation:
    owner = {Model: "spec.model", EvaluationData: "spec.data.evaluation", Output: "spec.output"}[type(part)]
    storage_field = f"{owner}.storage" if part.storage is not None else "spec.storage"
    return JobLocation(field, location, isinstance(part, Output), spec.storage_of(part), storage_field)
