"""Attempts of an author to skip a review or the limits of a runtime are refused with the reason."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster.apiserver import APIServer
from tests.integration.chart.helm_release import CHART, Helm
from tests.integration.operator import operators
from tests.integration.operator.api import GROUP, Api, Namespace, Refusal, phase_is, wait_for
from tests.integration.operator.conftest import runtime
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import job
from tests.support.operator.builders import summary
from tests.support.operator.pods import input_of

ADA, RITA = "ada@example.com", "rita@example.com"
NAME = "minilm-int8"
DIGEST = "sha256:" + "a" * 64
KINDS = {"cpj": "CompressionJob", "cprv": "CompressionReview"}
RULES = [{"destinations": ["s3://models/live"], "required": "Always"}]
RUNTIMES = {
    "separated": {"review": {"separation": True}},
    "bounded": {"limits": {"deadline": "1h", "ttl": "2h", "retries": 1}},
    "chosen": {"allowedNamespaces": {"selector": {"matchLabels": {"tenant": "ml"}}}},
    "named": {"allowedNamespaces": {"names": ["elsewhere"]}},
}


@pytest.fixture(scope="module")
def policies(server: APIServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The chart's policies about authors and reviewers, and the runtimes of this module."""
    helm = Helm(server.kubeconfig, tmp_path_factory.mktemp("helm"))
    shown = [f"--show-only=templates/{name}policy.yaml" for name in ("author", "review")]
    server.kubectl.apply(*yaml.safe_load_all(helm.run("template", "demo", str(CHART), *shown)))
    api = Api(server.kubeconfig)
    for name, spec in RUNTIMES.items():
        api.send("POST", f"{GROUP}/compressionruntimes", runtime(name, **spec))
    forged = job("probe", spec__author="another")
    decision = {"job": "probe", "decision": "Approve", "reason": "a", "reviewer": "b", "jobUID": "c", "digest": DIGEST}
    review = {"metadata": {"name": "probe"}, "spec": decision}
    wait_for("the policy about authors is in force", lambda: refused(api, "cpj", forged))
    wait_for("the policy about reviewers is in force", lambda: refused(api, "cprv", review))
    yield
    for name in RUNTIMES:
        api.send("DELETE", f"{GROUP}/compressionruntimes/{name}")
    kinds = "validatingadmissionpolicybindings,validatingadmissionpolicies"
    server.kubectl.run("delete", kinds, "--selector=app.kubernetes.io/part-of=compression-operator")
    wait_for("no policy is in force", lambda: not refused(api, "cprv", review))


def refused(api: Api, kind: str, manifest: dict[str, Any]) -> bool:
    """Whether a policy refuses an object."""
    manifest = {"apiVersion": "compression-operator.io/v1alpha1", "kind": KINDS[kind], **manifest}
    try:
        api.send("POST", f"{Namespace(api, 'default').path(kind)}?dryRun=All", manifest)
    except Refusal as refusal:
        return refusal.code == 403
    return False


@pytest.fixture(scope="module")
def leader(policies: None, server: APIServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """An operator as the chart starts it: with a rule for a destination, and verified names."""
    folder = tmp_path_factory.mktemp("operator")
    arguments = ("--identities-verified", f"--review-rules={json.dumps(RULES)}", "--lease-name=separation")
    running = operators.start(server.kubeconfig, folder, *arguments)
    running.wait_leading()
    yield running
    assert running.stop() == 0
    bugs = [line for line in running.lines() if line["message"] == "this is a bug"]
    assert not bugs, bugs


def impersonate(kubeconfig: Path, user: str) -> Api:
    """An administrator under another name: policies see the name, and RBAC does not interfere."""
    api = Api(kubeconfig)
    api.headers |= {"Impersonate-User": user, "Impersonate-Group": "system:masters"}
    return api


@pytest.fixture
def ada(server: APIServer, namespace: Namespace, leader: OperatorProcess) -> Namespace:
    """The namespace as its author sees it."""
    return Namespace(impersonate(server.kubeconfig, ADA), namespace.name)


@pytest.fixture
def rita(server: APIServer, namespace: Namespace, leader: OperatorProcess) -> Namespace:
    """The namespace as a reviewer sees it."""
    return Namespace(impersonate(server.kubeconfig, RITA), namespace.name)


def held(namespace: Namespace, **changes: Any) -> dict[str, Any]:
    """Apply a job, and let its pod do as the manifest that it got says: hold the result."""
    namespace.apply(job(**changes))
    pod = namespace.pod()
    holds = input_of(namespace.child())["job"]["spec"]["review"] == "Always"
    namespace.run_pod(pod)
    namespace.end_pod(pod, message=summary(published=not holds, held=holds, digest=DIGEST, artifact=""))
    return phase_is(namespace, "AwaitingReview")


def separated(namespace: Namespace, review: str = "Never") -> dict[str, Any]:
    return held(namespace, spec__runtime="separated", spec__author=ADA, spec__review=review)


def publishes(namespace: Namespace) -> bool:
    parts = {child["metadata"]["labels"]["compression-operator.io/part"] for child in namespace.children()}
    return "Publish" in parts


@pytest.mark.usefixtures("policies")
def test_author_is_unverified_without_admission_policies(
    server: APIServer, namespace: Namespace, launch: Callable[..., OperatorProcess]
) -> None:
    """It comes first: the operator of the other tests would take the job."""
    unverified = launch("--lease-name=unverified", f"--namespace={namespace.name}")
    unverified.wait_leading()
    impersonated = Namespace(impersonate(server.kubeconfig, ADA), namespace.name)
    impersonated.apply(job(spec__runtime="separated", spec__author=ADA))
    assert phase_is(namespace, "Pending")["reason"] == "AuthorNotVerified"
    assert "no admission policy verifies spec.author" in namespace.condition(NAME, "Accepted")["message"]


def test_required_review_cannot_be_removed_from_a_job(ada: Namespace) -> None:
    assert separated(ada, review="Always")["terms"] == {"review": "Always", "separation": True}
    for change in ({"review": "Never"}, {"runtime": "cpu"}, {"author": RITA}, {"author": None}):
        with pytest.raises(Refusal, match="cannot change once the job exists"):
            ada.api.patch(ada.path("cpj", NAME), {"spec": change})
    assert not publishes(ada)


def test_author_cannot_approve_their_own_job(ada: Namespace, rita: Namespace) -> None:
    separated(ada)
    own = ada.review(NAME, "Approve", reviewer=ADA)["metadata"]
    wait_for("the review says why", lambda: any("the author of the job" in it for it in ada.notes_about(own["uid"])))
    why = f"1 review: {own['name']} (the author's own review)"
    wait_for("so does the job", lambda: why in ada.condition(NAME, "Reviewed")["message"])
    assert ada.status(NAME)["phase"] == "AwaitingReview"
    assert not publishes(ada)
    rita.review(NAME, "Approve", reviewer=RITA)
    wait_for("a child that publishes", lambda: publishes(ada))


def test_author_and_reviewer_must_be_the_requesting_user(ada: Namespace) -> None:
    with pytest.raises(Refusal, match=rf"spec\.author \({RITA}\): .*write {ADA}"):
        ada.apply(job(spec__runtime="separated", spec__author=RITA))
    separated(ada)
    with pytest.raises(Refusal, match=rf"spec\.reviewer \({RITA}\): .*write {ADA}"):
        ada.review(NAME, "Approve", reviewer=RITA)
    assert not publishes(ada)


def test_separated_review_requires_an_author(ada: Namespace) -> None:
    ada.apply(job(spec__runtime="separated"))
    status = phase_is(ada, "Failed")
    assert status["reason"] == "InvalidSpec"
    assert "spec.author is missing" in status["message"]
    assert not ada.children()


def test_timeout_never_approves_a_required_review(ada: Namespace) -> None:
    timeout = {"spec__review": "Always", "spec__reviewTimeout": "1s", "spec__onReviewTimeout": "Approve"}
    ada.apply(job(spec__runtime="separated", spec__author=ADA, **timeout))
    assert "spec.onReviewTimeout: 'Approve' is not valid" in phase_is(ada, "Failed")["message"]
    assert not ada.children()


def test_destination_review_applies_on_all_runtimes(ada: Namespace) -> None:
    output = {"destination": f"s3://models/live/{ada.name}", "checkpoints": f"s3://models/trials/{ada.name}"}
    held(ada, spec__runtime="cpu", spec__output=output)
    wait_for("an Event says so", lambda: "ReviewRequired" in ada.event_reasons())
    assert not publishes(ada)


def test_runtime_of_other_namespaces_is_refused(ada: Namespace) -> None:
    ada.apply(job("on-named", spec__runtime="named"))
    ada.apply(job("on-chosen", spec__runtime="chosen"))
    for name in ("on-named", "on-chosen"):
        assert phase_is(ada, "Pending", name)["reason"] == "RuntimeNotAllowed"
        message = ada.condition(name, "Accepted")["message"]
        assert f"does not allow the namespace {ada.name}; use another runtime" in message
    assert not ada.children()
    ada.api.patch(f"/api/v1/namespaces/{ada.name}", {"metadata": {"labels": {"tenant": "ml"}}})
    assert ada.child()["metadata"]["labels"]["compression-operator.io/job"] == "on-chosen"
    assert ada.status("on-named")["reason"] == "RuntimeNotAllowed"


def test_limits_of_the_runtime_apply(ada: Namespace) -> None:
    ada.apply(job("greedy", spec__runtime="bounded", spec__deadline="61m"))
    assert "spec.deadline: '61m' is not valid" in phase_is(ada, "Failed", "greedy")["message"]
    ada.apply(job("modest", spec__runtime="bounded", spec__ttl="1h"))
    child = ada.child()["spec"]
    assert (child["activeDeadlineSeconds"], child["backoffLimit"]) == (3600, 1)
    ada.api.patch(ada.path("cpj", "modest"), {"spec": {"ttl": "1000h"}})
    wait_for("the limit holds", lambda: "but 2h holds" in ada.condition("modest", "Accepted").get("message", ""))


def test_runtime_change_does_not_affect_accepted_jobs(ada: Namespace) -> None:
    spec = runtime("bounded", **RUNTIMES["bounded"])["spec"]
    changing = f"{GROUP}/compressionruntimes/changing"
    ada.api.send("POST", f"{GROUP}/compressionruntimes", {**runtime("changing"), "spec": spec})
    try:
        ada.apply(job("before", spec__runtime="changing", spec__suspend=True))
        wait_for("its terms", lambda: ada.status("before").get("terms"))
        ada.api.patch(changing, {"spec": {"limits": {"deadline": "1m"}, "review": {"required": "Always"}}})
        ada.api.patch(ada.path("cpj", "before"), {"spec": {"suspend": False}})
        wait_for("it goes on", lambda: not ada.child()["spec"]["suspend"])
        assert ada.child()["spec"]["activeDeadlineSeconds"] == 3600
        assert ada.status("before")["terms"]["limits"]["deadline"] == "1h"
        assert ada.status("before")["terms"].get("review", "Never") == "Never"
    finally:
        ada.api.send("DELETE", changing)
