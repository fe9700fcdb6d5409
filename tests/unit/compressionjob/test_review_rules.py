"""Reviews that are required by destination: every name of a place counts, and no neighbour of it."""

import json
from typing import Any

import pytest

from compressionjob.errors import InvalidSpec
from compressionjob.review_rules import ReviewRequirement, parse_rules, stricter
from compressionjob.spec import CompressionJobSpec, parse_job
from compressionjob.terms import terms_of
from tests.support.manifests import job

CLAIMS = {"/models": "models"}


def spec(**output: str) -> CompressionJobSpec:
    return parse_job(job(spec__output=output)).spec


def applies(prefix: str, claims: dict[str, str] | None = None, **output: str) -> bool:
    return ReviewRequirement.model_validate({"destinations": [prefix]}).applies(spec(**output), claims or {})


@pytest.mark.parametrize(
    ("prefix", "destination", "found"),
    [
        ("s3://models/prod", "s3://models/prod/a", True),
        ("s3://models/prod/", "s3://models/prod/a/b/", True),
        ("s3://models/prod", "s3://models/prod", True),
        ("s3://models", "s3://models/any", True),
        # A folder around it: what it publishes may have the name of the place itself.
        ("s3://models/team/live", "s3://models/team", True),
        ("s3://models/prod", "s3://models/prod2/a", False),
        ("s3://models/prod", "s3://models/production", False),
        ("s3://models/prod", "s3://others/prod/a", False),
        ("pvc://models/prod", "pvc://models/prod/a", True),
        ("pvc://models/prod", "file:///models/prod/a", True),
        ("file:///models/prod", "pvc://models/prod/a", True),
        ("file:///models", "file:///models/prod/a", True),
        ("pvc://models/prod", "file:///other/prod/a", False),
    ],
)
def test_a_prefix_is_around_whole_names(prefix: str, destination: str, found: bool) -> None:
    assert applies(prefix, CLAIMS, destination=destination) is found


def test_reports_and_checkpoints_are_written_too() -> None:
    elsewhere = {"destination": "s3://models/trial/a"}
    assert not applies("s3://models/prod", **elsewhere)
    assert applies("s3://models/prod", **elsewhere, reports="s3://models/prod/r")
    assert applies("s3://models/prod", **elsewhere, checkpoints="s3://models/prod/c")


def test_without_destinations_it_is_for_all_jobs() -> None:
    assert ReviewRequirement().applies(spec(destination="s3://models/a"), {})


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"destinations": ["s3://models/../x"]}, "destinations"),
        ({"destinations": ["s3://models//x"]}, "destinations"),
        ({"destinations": ["models/x"]}, "destinations"),
        ({"required": "Never"}, "required"),
        ({"namespace": ["team-a"]}, "namespace"),
    ],
)
def test_rules_that_mean_nothing_are_refused_by_field(rule: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSpec, match=rf"reviews\[0\]\.{field}"):
        parse_rules(json.dumps([rule]))


def test_rules_come_from_json() -> None:
    (rule,) = parse_rules('[{"namespaces": ["prod"], "required": "OnInconclusive", "separation": true}]')
    assert (rule.concerns("prod"), rule.concerns("test")) == (True, False)
    assert (rule.required, rule.separation) == ("OnInconclusive", True)
    assert parse_rules("") == ()
    with pytest.raises(InvalidSpec):
        parse_rules("[")


def test_the_stricter_rule_holds() -> None:
    assert stricter(None, "OnInconclusive") == "OnInconclusive"
    assert stricter("Always", "OnInconclusive") == "Always"
    assert stricter("Never", None) == "Never"


@pytest.mark.parametrize(
    ("sla", "review"),
    [
        ({"quality": {"maxDrop": "0.01"}}, "OnInconclusive"),
        ({}, "Always"),
        ({"quality": {"maxDrop": "0.01"}, "onViolation": "Alert"}, "Always"),
    ],
)
def test_an_author_cannot_write_limits_that_leave_nothing_open(sla: dict[str, Any], review: str) -> None:
    """Without limits, or with an alert in place of a refusal, no verdict would be held."""
    parsed = parse_job(job(spec__sla=sla)).spec
    terms = terms_of(parsed, "team-a", (), parse_rules(json.dumps([{"required": "OnInconclusive"}])))
    assert terms is not None
    assert terms.review == review
