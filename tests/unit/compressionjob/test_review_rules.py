"""Reviews required by destination, for every form of a location."""

import json
from functools import partial
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
    ("prefix", "destination", "applicable"),
    [
        ("s3://models/prod", "s3://models/prod/a", True),
        ("s3://models/prod/", "s3://models/prod/a/b/", True),
        ("s3://models/prod", "s3://models/prod", True),
        ("s3://models", "s3://models/any", True),
        # A parent folder: a published file may have the name of the destination.
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
def test_prefixes_are_compared_by_whole_names(prefix: str, destination: str, applicable: bool) -> None:
    assert applies(prefix, CLAIMS, destination=destination) is applicable


def test_reports_and_checkpoints_are_written_too() -> None:
    elsewhere = partial(applies, "s3://models/prod", destination="s3://models/trial/a")
    assert not elsewhere()
    assert elsewhere(reports="s3://models/prod/r")
    assert elsewhere(checkpoints="s3://models/prod/c")


@pytest.mark.parametrize(
    ("prefix", "endpoint", "expected"),
    [
        ("s3://prod", "https://prod.s3.eu-central-1.amazonaws.com", True),
        ("s3://prod/release", "https://PROD.s3.example.com", True),
        ("s3://my.prod/release", "http://my.prod.s3.example.com:9000", True),
        ("s3://prod/other", "https://prod.s3.example.com", False),
        ("s3://prod", "https://s3.example.com", False),
        ("s3://prod", "http://prod:9000", False),
    ],
)
def test_a_bucket_in_the_host_of_the_endpoint_counts(prefix: str, endpoint: str, expected: bool) -> None:
    storage = {"secretName": "s3", "endpoint": endpoint}
    output = {"destination": "s3://release/a", "storage": storage}
    parsed = parse_job(job(spec__output=output)).spec
    assert ReviewRequirement.model_validate({"destinations": [prefix]}).applies(parsed, {}) is expected


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
def test_invalid_rules_are_refused_by_field(rule: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSpec, match=rf"reviews\[0\]\.{field}"):
        parse_rules(json.dumps([rule]))


def test_rules_come_from_json() -> None:
    (rule,) = parse_rules('[{"namespaces": ["prod"], "required": "OnInconclusive", "separation": true}]')
    assert (rule.applies_to("prod"), rule.applies_to("test")) == (True, False)
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
def test_an_author_cannot_avoid_the_review_by_weak_limits(sla: dict[str, Any], review: str) -> None:
    """Without limits, or with onViolation Alert, no verdict would be held."""
    parsed = parse_job(job(spec__sla=sla)).spec
    terms = terms_of(parsed, "team-a", (), parse_rules(json.dumps([{"required": "OnInconclusive"}])))
    assert terms is not None
    assert terms.review == review
