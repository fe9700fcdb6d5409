"""Reviews on a real API server: the job waits, also over a restart of the operator, and one decision counts."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.operator.api import Namespace, Refusal, phase_is, wait_for
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import job
from tests.support.operator.builders import summary

Launch = Callable[..., OperatorProcess]
NAME = "minilm-int8"
DIGEST = "sha256:" + "a" * 64


def held(namespace: Namespace, **changes: Any) -> dict[str, Any]:
    """A job that waits for its review."""
    namespace.apply(job(**({"spec__review": "Always"} | changes)))
    pod = namespace.pod()
    namespace.run_pod(pod)
    namespace.end_pod(pod, message=summary("Pass", published=False, held=True, digest=DIGEST, artifact=""))
    return phase_is(namespace, "AwaitingReview")


def parts(namespace: Namespace) -> dict[str, dict[str, Any]]:
    return {child["metadata"]["labels"]["compression-operator.io/part"]: child for child in namespace.children()}


def test_an_approved_result_is_published_by_a_child_of_its_own(namespace: Namespace, launch: Launch) -> None:
    operator = launch("--lease-name=approve")
    operator.wait_leading()
    assert held(namespace)["verdict"] == "Pass"
    version = (namespace.job(NAME) or {})["metadata"]["resourceVersion"]
    assert operator.stop() == 0
    again = launch("--lease-name=approve")
    again.wait_leading()
    wait_for(
        "it has looked", lambda: again.metric('compression_operator_reconcile_seconds_count{outcome="unchanged"}') > 0
    )
    assert (namespace.job(NAME) or {})["metadata"]["resourceVersion"] == version
    assert set(parts(namespace)) == {"Run"}
    namespace.review(NAME, "Approve")
    child = wait_for("a child that publishes", lambda: parts(namespace).get("Publish"))
    assert child["metadata"]["name"].endswith("-publish")
    pod = namespace.pod()
    namespace.run_pod(pod)
    namespace.end_pod(pod, message=summary("Pass", published=True, digest=DIGEST))
    status = phase_is(namespace, "Succeeded")
    assert (status["review"]["reviewer"], status["review"]["decision"]) == ("rita", "Approve")
    assert namespace.condition(NAME, "Reviewed")["reason"] == "Approved"
    wait_for("events", lambda: namespace.event_reasons() >= {"AwaitingReview", "Reviewed", "Completed"})
    assert again.metric('compression_operator_verdicts_total{verdict="Pass"}') == 0  # it was counted before


@pytest.mark.usefixtures("operator")
def test_a_rejected_result_is_not_published(namespace: Namespace) -> None:
    held(namespace)
    namespace.review(NAME, "Reject")
    assert "rita: looked at it" in phase_is(namespace, "Failed")["message"]
    assert namespace.condition(NAME, "Failed")["reason"] == "ReviewRejected"
    assert set(parts(namespace)) == {"Run"}


@pytest.mark.usefixtures("operator")
def test_a_review_names_the_job_and_the_result_or_is_refused(namespace: Namespace) -> None:
    held(namespace)
    for field in ("jobUID", "digest"):
        with pytest.raises(Refusal, match=rf"spec\.{field}"):
            namespace.review(NAME, "Approve", **{field: None})


@pytest.mark.usefixtures("operator")
def test_a_review_that_does_not_count_says_why_in_an_event(namespace: Namespace) -> None:
    """One waits for a job that is not there yet, another for its verdict; a third is about another result."""
    unborn = namespace.review("unborn", "Approve", jobUID="x", digest=DIGEST)["metadata"]["uid"]
    namespace.apply(job(spec__review="Always"))
    pod = namespace.pod()
    namespace.run_pod(pod)
    other = namespace.review(NAME, "Reject", digest="sha256:" + "b" * 64)["metadata"]
    namespace.end_pod(pod, message=summary("Pass", published=False, held=True, digest=DIGEST, artifact=""))
    phase_is(namespace, "AwaitingReview")
    wait_for(
        "it says why", lambda: any(f"awaits a review of {DIGEST}" in it for it in namespace.notes_about(other["uid"]))
    )
    why = f"1 review: {other['name']} (its digest is that of another result)"
    wait_for("so does the job", lambda: why in namespace.condition(NAME, "Reviewed")["message"])
    early = namespace.review(NAME, "Approve")["metadata"]
    wait_for("a child that publishes", lambda: parts(namespace).get("Publish"))
    assert namespace.notes_about(early["uid"]) == []
    (note,) = namespace.notes_about(unborn)
    assert note.startswith("there is no CompressionJob unborn in the namespace")


@pytest.mark.usefixtures("operator")
def test_timeout_decides_without_a_review(namespace: Namespace) -> None:
    held(namespace, spec__reviewTimeout="2s")
    assert phase_is(namespace, "Failed")["review"]["reviewer"] == "timeout"


@pytest.mark.usefixtures("operator")
def test_reviews_and_review_policies_are_immutable(namespace: Namespace) -> None:
    held(namespace)
    name = namespace.review(NAME, "Reject", digest="sha256:" + "b" * 64)["metadata"]["name"]  # about another result
    with pytest.raises(Refusal, match="a review cannot change"):
        namespace.api.patch(namespace.path("cprv", name), {"spec": {"decision": "Approve"}})
    with pytest.raises(Refusal, match="cannot change once the job exists"):
        namespace.api.patch(namespace.path("cpj", NAME), {"spec": {"review": "Never"}})
    assert namespace.status(NAME)["phase"] == "AwaitingReview"
