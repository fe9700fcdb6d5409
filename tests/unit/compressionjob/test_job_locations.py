"""Every field of a job that holds a location, a Secret or an endpoint is known to the checks of stores and reviews."""

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import AfterValidator, BaseModel

from compressionjob import locations
from compressionjob.job_locations import job_locations
from compressionjob.locations import Hub, Storage
from compressionjob.spec import CompressionJobSpec, parse_job
from compressionjob.store_access import _parts
from tests.support.manifests import job

LOCATIONS = {
    "Model.source": "s3://data/model",
    "EvaluationData.source": "s3://data/evaluation.jsonl",
    "TrainingData.source": "s3://data/training.jsonl",
    "CalibrationData.source": "s3://data/calibration.jsonl",
    "EvaluationTask.source": "s3://data/task.jsonl",
    "Distill.teacher_source": "s3://data/teacher",
    "Distill.student_source": "s3://data/student",
    "Output.destination": "s3://data/out",
    "Output.reports": "s3://data/reports",
    "Output.checkpoints": "s3://data/checkpoints",
}
"""Fields with a location -> a value for it."""


def models_of(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """Yield a model and every model in its fields."""
    if model in seen:
        return
    seen.add(model)
    yield model
    for field in model.model_fields.values():
        for part in parts_of(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from models_of(part, seen)


def parts_of(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from parts_of(part)


def fields_with(sought: Any) -> set[str]:
    """Return the fields of a job's spec whose type or validators contain one of these."""
    return {
        f"{model.__name__}.{name}"
        for model in models_of(CompressionJobSpec, set())
        for name, field in model.model_fields.items()
        if any(item in sought for part in (field.annotation, *field.metadata) for item in map(plain, parts_of(part)))
    }


def plain(part: Any) -> Any:
    return part.func if isinstance(part, AfterValidator) else part if isinstance(part, type) else None


def test_all_locations_are_checked() -> None:
    assert fields_with({locations._check, locations._check_source}) == LOCATIONS.keys()
    data = {
        "evaluation": {"source": LOCATIONS["EvaluationData.source"]},
        "training": {"source": LOCATIONS["TrainingData.source"]},
        "calibration": {"source": LOCATIONS["CalibrationData.source"]},
        "tasks": [{"name": "a", "source": LOCATIONS["EvaluationTask.source"], "kind": "multiple-choice"}],
    }
    output = {name: LOCATIONS[f"Output.{name}"] for name in ("destination", "reports", "checkpoints")}
    teacher, student = LOCATIONS["Distill.teacher_source"], LOCATIONS["Distill.student_source"]
    spec = parse_job(
        job(
            spec__model={"source": LOCATIONS["Model.source"], "task": "text-generation"},
            spec__data=data,
            spec__pipeline=[{"distill": {"teacherSource": teacher, "studentSource": student}}],
            spec__sla={},
            spec__output=output,
        )
    ).spec
    assert {str(place.location) for place in job_locations(spec)} == set(LOCATIONS.values())


def test_all_settings_with_secrets_and_endpoints_are_checked() -> None:
    fields = fields_with({Storage, Hub})
    assert fields == {
        "CompressionJobSpec.storage", "Model.storage", "EvaluationData.storage", "Output.storage",
        "CompressionJobSpec.hub",
    }  # fmt: skip
    assert len(_parts(parse_job(job()).spec)) == len(fields)
    assert fields_with({locations._check_endpoint, locations._check_object_store}) == {
        "Storage.endpoint",
        "Hub.endpoint",
    }
