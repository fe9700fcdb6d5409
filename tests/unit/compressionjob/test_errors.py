"""Messages for errors in a manifest: the field, the value, and the intended or missing one."""

from typing import Any

import pytest

from compressionjob.errors import InvalidSpec
from compressionjob.spec import parse_job
from tests.support.manifests import REMOVE, job, set_field


def problems(path: str, value: Any) -> list[str]:
    manifest = job()
    set_field(manifest, path, value)
    with pytest.raises(InvalidSpec) as caught:
        parse_job(manifest)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("spec.model.sorce", "s3://a/b", "spec.model.sorce: there is no such field; did you mean 'source'?"),
        ("spec.sla.quality.max_drop", "0.1", "did you mean 'maxDrop'?"),
        ("spec.sla.quality.maxdrop", "0.1", "did you mean 'maxDrop'?"),
        ("spec.overwrite", True, "'overwrite' belongs to spec.output"),
        ("spec.model.zzz", 1, "remove it or correct its name; spec.model has format, source, state, storage, task"),
        ("spec.model.task", "text-embeddings", "did you mean 'text-embedding'?"),
        ("spec.sla.onViolation", "fail", "must be one of Fail, Fallback, Alert; did you mean 'Fail'?"),
        ("kind", "CompresionJob", "kind: 'CompresionJob' is not valid: must be CompressionJob"),
        (
            "spec.model.task",
            REMOVE,
            "spec.model.task is missing: add it: task of the model, such as task: text-embedding",
        ),
        ("spec.output.destination", REMOVE, "compressed model, such as destination: s3://models/minilm-int8"),
        ("spec.storage.endpoint", "minio:9000", "write it as in http://minio.storage:9000"),
        (
            "spec.model",
            None,
            "spec.model: it is empty: model to compress, such as model: {source: s3://models/minilm,",
        ),
        ("metadata.name", REMOVE, "metadata.name is missing: add it: name of the object, such as name: minilm-int8"),
        ("spec.data", [], "spec.data: it is a list, and must be a mapping of fields, such as {evaluation: {source:"),
        (
            "spec.pipeline",
            {"pack": {}},
            "it is a mapping, and must be a list, whose entries begin with '- ', such as [{quantize:",
        ),
        ("spec.pipeline[0]", "prune", "it is a text, and must be a mapping of fields, such as {quantize:"),
        ("spec.pipeline", [], "spec.pipeline: must have at least 1 entry, such as [{quantize:"),
        ("spec.retries", "many", "'many' is not valid: must be a whole number without quotes, such as 8"),
        ("spec.retries", 99, "'99' is not valid: must be at most 20"),
        ("spec.suspend", "yes", "must be true or false, without quotes"),
        ("spec.runtime", 5, 'must be a text: write it in quotes, "5"'),
        ("spec.runtime", "CPU large", "must be lower-case letters, digits, '-' and '.'"),
        ("spec.deadline", 60, 'add a unit, such as "60s" or "60m"'),
        ("spec.deadline", "2d", 'write days in hours, "48h"'),
        ("spec.sla.memory.max", "400 MB", 'write 400 MB as "400M"'),
        ("spec.sla.memory.max", "2gib", 'write 2gib as "2Gi"'),
        ("spec.sla.quality.maxDrop", "1%", 'write 1% as "0.01"'),
        ("spec.sla.quality.maxDrop", True, "must be a decimal number in quotes"),
        ("spec.budget", 10**400, "must be a decimal number in quotes"),
    ],
)
def test_a_problem_names_the_intended_field_or_value(path: str, value: Any, says: str) -> None:
    (problem,) = problems(path, value)
    assert says in problem


def test_a_misspelt_field_is_not_missing_as_well() -> None:
    manifest = job()
    manifest["spec"]["model"]["tsk"] = manifest["spec"]["model"].pop("task")
    with pytest.raises(InvalidSpec) as caught:
        parse_job(manifest)
    assert [str(item) for item in caught.value.problems] == [
        "spec.model.tsk: there is no such field; did you mean 'task'?"
    ]


def test_a_removed_field_has_its_remedy_and_no_nearest_name() -> None:
    manifest = job()
    manifest["spec"]["pipeline"] = [{"distill": {"teacher": "baseline", "student": {"layers": 2}}}]
    with pytest.raises(InvalidSpec) as caught:
        parse_job(manifest)
    assert [str(item) for item in caught.value.problems if "teacher" in item.field] == [
        "spec.pipeline[0].distill.teacher: this version has no such field: remove it, since the teacher is the job's "
        "own model by default; teacherSource names another one"
    ]


@pytest.mark.parametrize("value", [0, 1, "0.5", 0.5])
def test_numbers_may_stand_without_quotes(value: object) -> None:
    limits = parse_job(job(spec__sla__quality__maxDrop=value)).spec.sla.quality
    assert limits is not None
    assert limits.max_drop == float(str(value))


def test_a_mapping_is_never_printed_as_the_value() -> None:
    manifest = job(spec__pipeline=[{"prune": {}, "pack": {}}, {"nothing": {}}], spec__output={"format": {"a": [None]}})
    with pytest.raises(InvalidSpec) as caught:
        parse_job(manifest)
    assert not {"{", "None", "True"} & set(str(caught.value).replace("'", " ").split())
    assert "{" not in str(caught.value)
