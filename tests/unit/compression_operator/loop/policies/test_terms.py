"""The terms of jobs: checked at acceptance, and fixed in the status."""

import json
from typing import Any

import pytest

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.job import JobRecord
from compression_operator.records.requirements import Requirements
from compression_operator.records.runtime import RuntimeRecord
from compressionjob.review_rules import parse_rules
from tests.support.operator.builders import (
    NOW,
    after,
    child,
    complete,
    condition_of,
    ended_pod,
    job,
    observe,
    review,
    runtime,
    settle,
    summary,
    with_status,
)
from tests.support.operator.pods import input_of

VERIFIED = Requirements(identities_verified=True)
DIGEST = "sha256:" + "a" * 64


def accepted(on: RuntimeRecord, *, requirements: Requirements = VERIFIED, **changes: Any) -> JobRecord:
    """A job whose terms are written."""
    record, plan = settle(observe(job(**changes), on=on, requirements=requirements))
    assert (plan.create, plan.requeue_after) == (None, 0)
    assert condition_of(plan, "Accepted")["status"] == "True"
    return record


def test_defaults_and_limits_hold_for_the_child_and_stay_when_the_runtime_changes() -> None:
    on = runtime(defaults={"retries": 1}, limits={"deadline": "1h", "ttl": "2h", "maxInterruptions": 4})
    record = accepted(on)
    created = reconcile(observe(record, on=on), NOW).create
    assert created is not None
    assert (created["spec"]["backoffLimit"], created["spec"]["activeDeadlineSeconds"]) == (1, 3600)
    later = runtime(limits={"deadline": "1m", "retries": 0})
    again = reconcile(observe(record, on=later), NOW).create
    assert again is not None
    assert again["spec"]["activeDeadlineSeconds"] == 3600
    assert (record.ttl, record.settings.max_interruptions) == (7200, 4)


def test_a_job_without_terms_begins_at_once_and_gets_none_later() -> None:
    assert reconcile(observe(job()), NOW).create is not None
    begun, _ = settle(observe(job(), child=child()))
    limited = runtime(limits={"retries": 0}, allowedNamespaces={"names": ["elsewhere"]})
    recreated = reconcile(observe(begun, on=limited, confirmed=True), NOW).create
    assert recreated is not None
    assert recreated["spec"]["backoffLimit"] == 2


def test_settings_beyond_the_limits_end_the_job() -> None:
    on = runtime(limits={"deadline": "1h"})
    record, plan = settle(observe(job(spec__deadline="2h"), on=on))
    assert (record.phase, record.reason) == ("Failed", "InvalidSpec")
    assert "spec.deadline: '2h' is not valid" in condition_of(plan, "Accepted")["message"]


def test_a_setting_that_is_raised_later_is_kept_at_the_limit() -> None:
    on = runtime(limits={"ttl": "1h"})
    record = accepted(on, spec__ttl="30m")
    raised = job(spec__ttl="300h", status=json.loads(record.status_json))
    assert raised.ttl == 3600
    plan = reconcile(observe(raised, on=on, child=child()), NOW)
    assert "spec.ttl is 300h, but 1h holds" in condition_of(plan, "Accepted")["message"]
    assert [note.reason for note in plan.events if note.reason == "Limited"] == ["Limited"]
    after_that = with_status(raised, plan)
    assert not reconcile(observe(after_that, on=on, child=child()), NOW).events
    ended = JobRecord.of(
        {
            "metadata": {"uid": "u", "namespace": "default", "name": "a"},
            "spec": {"ttl": "300h"},
            "status": json.loads(record.status_json) | {"phase": "Succeeded"},
        }
    )
    assert ended.ttl == 3600


def test_a_namespace_that_is_not_allowed_waits_until_it_is() -> None:
    on = runtime(allowedNamespaces={"selector": {"matchLabels": {"gpu": "yes"}}})
    record, plan = settle(observe(job(), on=on, namespace_labels={}))
    assert (record.phase, record.reason) == ("Pending", "RuntimeNotAllowed")
    assert "does not allow the namespace default" in condition_of(plan, "Accepted")["message"]
    assert reconcile(observe(record, on=on, namespace_labels={}), NOW).empty
    assert reconcile(observe(record, on=on, namespace_labels={"gpu": "yes"}), NOW).create is not None


def test_the_runtime_that_measures_must_allow_the_namespace_too() -> None:
    on, measuring = runtime(), runtime("edge", allowedNamespaces={"names": ["team-b"]})
    record, plan = settle(observe(job(spec__sla__runtime="edge"), on=on, measuring_runtime=measuring))
    assert record.reason == "RuntimeNotAllowed"
    assert condition_of(plan, "Accepted")["message"].startswith("spec.sla.runtime: the CompressionRuntime 'edge'")


@pytest.mark.parametrize(
    ("on", "requirements"),
    [
        (runtime(review={"required": "Always"}), VERIFIED),
        (runtime(), Requirements(parse_rules('[{"namespaces": ["default"]}]'), True)),
        (runtime(), Requirements(parse_rules('[{"destinations": ["s3://models/minilm-int8"]}]'), True)),
    ],
    ids=["runtime", "namespace", "destination"],
)
def test_a_required_review_reaches_the_pod_though_the_job_asks_for_none(
    on: RuntimeRecord, requirements: Requirements
) -> None:
    first = reconcile(observe(job(spec__review="Never"), on=on, requirements=requirements), NOW)
    (note,) = first.events
    assert (note.reason, note.text) == (
        "ReviewRequired",
        "spec.review is Never, and the platform team requires Always: Always holds",
    )
    record = accepted(on, requirements=requirements, spec__author="ada")
    created = reconcile(observe(record, on=on, requirements=Requirements()), NOW).create
    spec = input_of(created)["job"]["spec"]
    assert (spec["review"], "author" in spec) == ("Always", False)


def test_checkpoints_among_reviewed_models_are_refused() -> None:
    requirements = Requirements(parse_rules('[{"destinations": ["s3://models"]}]'), True)
    record, plan = settle(observe(job(), on=runtime(), requirements=requirements))
    assert (record.phase, record.reason) == ("Failed", "InvalidSpec")
    assert condition_of(plan, "Accepted")["message"] == (
        "spec.output.checkpoints: 's3://models/minilm-int8-checkpoints' is not valid: s3://models requires a review, "
        "and checkpoints have none; name a folder outside of it"
    )
    # What was accepted before the rule goes on.
    began = accepted(runtime(review={"required": "Always"}))
    assert reconcile(observe(began, on=runtime(), requirements=requirements), NOW).create is not None


def test_a_job_that_asks_for_more_review_keeps_it() -> None:
    on = runtime(review={"required": "OnInconclusive"})
    record = accepted(on, spec__review="Always")
    plan = reconcile(observe(record, on=on), NOW)
    assert plan.create is not None
    assert input_of(plan.create)["job"]["spec"]["review"] == "Always"


def separated(**changes: Any) -> JobRecord:
    """A job of ada that waits for a review, which must not be hers."""
    on = runtime(review={"separation": True})
    record = accepted(on, spec__author="ada", **changes)
    message = summary(published=False, held=True, digest=DIGEST, artifact="")
    record, _ = settle(observe(record, on=on, child=complete(), pods=(ended_pod(message=message),)))
    assert record.phase == "AwaitingReview"
    return record


def test_the_authors_own_review_does_not_count_and_the_job_says_so() -> None:
    own = review(reviewer="ada", name="own")
    record, plan = settle(observe(separated(), reviews=(own,)), after(120))
    assert record.phase == "AwaitingReview"
    assert condition_of(plan, "Reviewed")["message"].endswith("1 review: own (the author's own review)")
    decided, _ = settle(observe(record, reviews=(own, review(created=90))), after(120))
    outcome = decided.status().review
    assert outcome is not None
    assert outcome.reviewer == "rita"


def test_time_approves_nothing_where_a_review_is_required() -> None:
    """Acceptance refuses such a spec; should one wait all the same, it ends without a result."""
    record = separated(spec__review="Always", spec__reviewTimeout="10s")
    raw = {"spec__author": "ada", "spec__reviewTimeout": "10s", "spec__onReviewTimeout": "Approve"}
    asks = job(**raw, spec__review="Always", status=json.loads(record.status_json))
    ended, _ = settle(observe(asks), after(60))
    assert (ended.phase, ended.reason) == ("Failed", "ReviewTimedOut")


def test_separation_needs_the_author_and_policies_that_verify_it() -> None:
    on = runtime(review={"separation": True})
    unnamed, plan = settle(observe(job(), on=on, requirements=VERIFIED))
    assert (unnamed.phase, unnamed.reason) == ("Failed", "InvalidSpec")
    assert "spec.author is missing" in condition_of(plan, "Accepted")["message"]
    unverified, plan = settle(observe(job(spec__author="ada"), on=on, requirements=Requirements()))
    assert (unverified.phase, unverified.reason) == ("Pending", "AuthorNotVerified")
    assert "policies of the chart" in condition_of(plan, "Accepted")["message"]
    assert len(condition_of(plan, "Accepted")["message"]) <= 200


def test_a_budget_of_the_runtime_waits_for_a_price() -> None:
    record, _ = settle(observe(job(), on=runtime(limits={"budget": "5"})))
    assert (record.phase, record.reason) == ("Pending", "RuntimeWithoutPrice")
    assert accepted(runtime(limits={"budget": "5"}, pricePerHour="1")).budget == 5
