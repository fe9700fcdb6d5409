"""``--set FIELD=VALUE``."""

from typing import Any

import pytest

from compressionjob.spec import parse_job
from kubectl_compress.errors import Invalid
from kubectl_compress.overrides import changed, fields
from tests.support.manifests import job


def test_values_get_the_type_of_their_field() -> None:
    spec = job(spec__deadline="1h")["spec"]
    result = changed(
        spec,
        [
            "spec.retries=5",
            "sla.quality.maxDrop=0.02",
            "spec.output.overwrite=true",
            "spec.benchmark.threads=2",
            'spec.sla.memory={"max": "512Mi"}',
            "spec.deadline=null",
        ],
    )
    assert result["retries"] == 5
    assert result["sla"]["quality"]["maxDrop"] == "0.02"
    assert result["output"]["overwrite"] is True
    assert result["benchmark"] == {"threads": 2}
    assert result["sla"]["memory"] == {"max": "512Mi"}
    assert "deadline" not in result
    assert spec["deadline"] == "1h", "the old job's spec stays as it is"
    parse_job(job() | {"spec": result})


@pytest.mark.parametrize(
    ("setting", "problem", "remedy"),
    [
        ("spec.retries", "there is no '='", "FIELD=VALUE"),
        ("spec.retries=many", "must be of type integer", "such as 3"),
        ("spec.retries=true", "must be of type integer", "such as 3"),
        ("spec.suspend=1", "must be of type boolean", "such as true"),
        ("spec.deadlin=1h", "there is no field 'deadlin'", "deadline"),
        ("spec.sla.latency.mx=1s", "there is no field 'mx'", "spec.sla.latency has max"),
        ("spec.deadline.max=1h", "there is no field 'max'", "spec.deadline has no fields"),
        ("spec.pipeline=[]", "the same compression again", "write a new manifest"),
        ("model.source=s3://a/b", "the same compression again", "write a new manifest"),
    ],
)
def test_invalid_overrides_are_refused_by_name(setting: str, problem: str, remedy: str) -> None:
    with pytest.raises(Invalid) as raised:
        changed(job()["spec"], [setting])
    assert problem in raised.value.problem
    assert setting.split("=")[0] in raised.value.problem
    assert remedy in raised.value.remedy


def test_every_field_that_is_offered_can_be_set() -> None:
    def example(field: str) -> Any:
        return f"{field}=null"

    offered = fields()
    assert {"spec.deadline", "spec.runtime", "spec.sla.latency.max", "spec.review"} <= set(offered)
    assert not [field for field in offered if field.startswith(("spec.model", "spec.pipeline", "spec.data"))]
    changed(job()["spec"], [example(field) for field in offered])
