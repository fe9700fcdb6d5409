"""Terms of a job: the combined defaults, limits and reviews of its runtimes and of the operator."""

from typing import Any

import pytest

from compressionjob.errors import InvalidSpec
from compressionjob.review_rules import parse_rules
from compressionjob.runtime import CompressionRuntimeSpec, parse_runtime
from compressionjob.spec import CompressionJobSpec, parse_job
from compressionjob.terms import (
    checkpoint_problems,
    limit_problems,
    not_allowed,
    review_problems,
    terms_of,
    unpriced_budget,
)
from tests.support.manifests import job


def runtime(**spec: Any) -> CompressionRuntimeSpec:
    return parse_runtime(
        {"kind": "CompressionRuntime", "metadata": {"name": "cpu"}, "spec": {"image": "runner:1", **spec}}
    ).spec


def spec(**changes: Any) -> CompressionJobSpec:
    return parse_job(job(**changes)).spec


def test_a_runtime_without_settings_has_no_terms() -> None:
    assert terms_of(spec(), "team-a", [runtime(), runtime()]) is None


def test_the_first_default_and_the_lowest_limit_hold() -> None:
    compresses = runtime(defaults={"deadline": "90m", "retries": 1}, limits={"deadline": "2h", "ttl": "48h"})
    measures = runtime(defaults={"deadline": "10m", "budget": "2"}, limits={"deadline": "100m", "retries": 5})
    terms = terms_of(spec(), "team-a", [compresses, measures])
    assert terms is not None
    assert terms.to_json() == {
        "defaults": {"deadline": "90m", "retries": 1, "budget": "2"},
        "limits": {"deadline": "100m", "ttl": "48h", "retries": 5},
        "review": "Never",
        "separation": False,
    }


@pytest.mark.parametrize(
    ("defaults", "limits", "field"),
    [
        ({"deadline": "3h"}, {"deadline": "120m"}, "deadline"),
        ({"ttl": "3h"}, {"ttl": "1h"}, "ttl"),
        ({"budget": "10"}, {"budget": "9.5"}, "budget"),
        ({"retries": 3}, {"retries": 2}, "retries"),
        ({"maxInterruptions": 3}, {"maxInterruptions": 0}, "maxInterruptions"),
    ],
)
def test_a_default_above_its_limit_is_refused(defaults: dict[str, Any], limits: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSpec, match=rf"spec\.defaults\.{field}: .*spec\.limits\.{field} is"):
        runtime(defaults=defaults, limits=limits)
    runtime(defaults=limits, limits=defaults)


def test_a_setting_above_its_limit_is_reported_with_field_value_and_limit() -> None:
    limited = runtime(
        limits={"deadline": "8h", "budget": "5", "ttl": "24h", "retries": 2, "maxInterruptions": 1}, pricePerHour="1"
    )
    asks = spec(spec__deadline="481m", spec__budget="5.5", spec__ttl="25h", spec__retries=3, spec__maxInterruptions=2)
    messages = [str(problem) for problem in limit_problems(asks, "gpu", limited)]
    assert messages[0] == (
        "spec.deadline: '481m' is not valid: the CompressionRuntime 'gpu' allows at most 8h; write 8h or less, or "
        "leave it out"
    )
    assert [text.split(":")[0] for text in messages] == [
        "spec.deadline", "spec.budget", "spec.ttl", "spec.retries", "spec.maxInterruptions",
    ]  # fmt: skip
    fits = spec(spec__deadline="480m", spec__budget="5", spec__ttl="24h", spec__retries=2, spec__maxInterruptions=1)
    assert not list(limit_problems(fits, "gpu", limited))
    assert not list(limit_problems(spec(), "gpu", limited))


def test_the_strictest_review_of_all_rules_that_apply_holds() -> None:
    rules = parse_rules(
        '[{"namespaces": ["prod"], "separation": true, "required": "OnInconclusive"},'
        ' {"destinations": ["s3://models/live"]}]'
    )
    cases = {
        ("test", "s3://models/a"): None,
        ("prod", "s3://models/a"): ("OnInconclusive", True),
        ("test", "s3://models/live/a"): ("Always", False),
        ("prod", "s3://models/live/a"): ("Always", True),
    }
    for (namespace, destination), expected in cases.items():
        terms = terms_of(spec(spec__output__destination=destination), namespace, [runtime()], rules)
        assert (None if terms is None else (terms.review, terms.separation)) == expected
    required = terms_of(spec(), "test", [runtime(), runtime(review={"separation": True})], rules)
    assert required is not None
    assert (required.review, required.separation) == ("Always", True)


def test_a_required_review_refuses_approval_by_timeout_and_unknown_authors() -> None:
    terms = terms_of(spec(), "test", [runtime(review={"separation": True})])
    assert terms is not None
    waits = {"spec__review": "Always", "spec__reviewTimeout": "1s", "spec__onReviewTimeout": "Approve"}
    timeout, author = review_problems(spec(**waits), terms)
    assert str(timeout).startswith("spec.onReviewTimeout: 'Approve' is not valid: a person must review this job")
    assert str(author).startswith("spec.author is missing: the author must not review this job")
    assert not list(review_problems(spec(**waits | {"spec__onReviewTimeout": "Reject", "spec__author": "ada"}), terms))


@pytest.mark.parametrize(
    ("output", "refused"),
    [
        ({"destination": "s3://models/live/a"}, "s3://models/live/a-checkpoints"),
        ({"destination": "s3://models/trial/a", "checkpoints": "s3://models/live"}, "s3://models/live"),
        ({"destination": "file:///live/a"}, "file:///live/a-checkpoints"),
        ({"destination": "s3://models/live/a", "checkpoints": "s3://scratch/a"}, ""),
        ({"destination": "s3://models/live"}, ""),
        ({"destination": "s3://models/live/a", "checkpoints": "s3://models/live-2"}, ""),
    ],
)
def test_checkpoints_do_not_lie_where_a_review_is_required(output: dict[str, str], refused: str) -> None:
    """A checkpoint is a model that can be loaded, and a failed or unreviewed one stays there."""
    volume = {"name": "live", "mountPath": "/live", "persistentVolumeClaim": {"claimName": "live"}}
    rules = parse_rules('[{"destinations": ["s3://models/live", "pvc://live"]}]')
    problems = [
        str(it) for it in checkpoint_problems(spec(spec__output=output), "test", [runtime(volumes=[volume])], rules)
    ]
    assert [text.partition(" is not valid")[0] for text in problems] == (
        [f"spec.output.checkpoints: {refused!r}"] if refused else []
    )
    assert not list(checkpoint_problems(spec(spec__output=output), "test", [runtime(volumes=[volume])]))


@pytest.mark.parametrize("live_first", [True, False])
def test_a_destination_counts_on_each_runtime_that_mounts_it(live_first: bool) -> None:
    """One runtime compresses and writes checkpoints, another measures and publishes: both mount a claim at /data."""
    claims = ["live", "trial"] if live_first else ["trial", "live"]
    runtimes = [
        runtime(volumes=[{"name": "data", "mountPath": "/data", "persistentVolumeClaim": {"claimName": claim}}])
        for claim in claims
    ]
    rules = parse_rules('[{"destinations": ["pvc://live"]}]')
    writes = spec(spec__output={"destination": "file:///data/a"})
    terms = terms_of(writes, "test", runtimes, rules)
    assert terms is not None
    assert terms.review == "Always"
    (problem,) = checkpoint_problems(writes, "test", runtimes, rules)
    assert problem.field == "spec.output.checkpoints"


def test_a_namespace_that_is_not_allowed_gets_a_remedy() -> None:
    limited = runtime(allowedNamespaces={"names": ["team-a"], "selector": {"matchLabels": {"gpu": "yes"}}})
    assert not_allowed("gpu", limited, "team-a", None) is None
    assert not_allowed("gpu", limited, "team-b", {"gpu": "yes"}) is None
    assert not_allowed("cpu", runtime(), "team-b", None) is None
    refused = not_allowed("gpu", limited, "team-b", {})
    assert refused is not None
    assert "'gpu' does not allow the namespace team-b; use another runtime, or ask the platform team" in refused
    unread = not_allowed("gpu", limited, "team-b", None)
    assert unread is not None
    assert "its selector does not count" in unread


def test_a_budget_needs_a_price_on_every_runtime() -> None:
    priced, free = runtime(limits={"budget": "5"}, pricePerHour="1"), runtime()
    terms = terms_of(spec(), "test", [priced, free])
    assert unpriced_budget({"a": priced}, terms) is None
    assert "'b' has no pricePerHour" in str(unpriced_budget({"a": priced, "b": free}, terms))
    assert unpriced_budget({"b": free}, None) is None
