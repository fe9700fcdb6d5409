"""A newer operator and runner with older CRDs: the job ends, and its status names the missing fields."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from compressionjob.crd import definitions
from tests.integration.operator.api import GROUP, Api, Namespace, Refusal, phase_is, wait_for
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import job
from tests.support.operator.builders import summary

NAME = "minilm-int8"
JOBS = "compressionjobs.yaml"
OBJECTIVE = {
    "name": "latency", "unit": "seconds", "limit": 0.02, "measured": 0.01, "verdict": "Inconclusive",
    "reason": "the machine was too noisy to measure a difference as small as this one",
}  # fmt: skip
REFUSED = 'compression_operator_api_requests_total{code="422",resource="compressionjobs",verb="patch"}'
LOOKS = 'compression_operator_reconcile_seconds_count{outcome="unchanged"}'

VERSION = definitions()[JOBS]["spec"]["versions"][0]


def older_version() -> dict[str, Any]:
    """The CRD's version when there was no Inconclusive, texts were shorter, and childrenCreated did not exist."""
    older = copy.deepcopy(VERSION)
    properties = older["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    of_objective = properties["objectives"]["items"]["properties"]
    for words in (properties["verdict"]["enum"], of_objective["verdict"]["enum"]):
        words.remove("Inconclusive")
    of_objective["reason"]["maxLength"] = 16
    del properties["childrenCreated"]
    return older


@pytest.fixture(scope="module", autouse=True)
def older_crd(api: Api) -> Iterator[None]:
    """Serve an older CRD; the API server takes a moment to change its mind."""
    probe = f"{GROUP}/namespaces/default/compressionjobs"
    manifest = job(name="probe", spec__runtime="none")
    manifest["metadata"]["namespace"] = "default"
    api.send("POST", probe, manifest)

    def takes_all() -> bool:
        try:
            api.patch(f"{probe}/probe/status?dryRun=All", {"status": {"objectives": [OBJECTIVE]}})
        except Refusal as refusal:
            if refusal.code != 422:
                raise
            return False
        return True

    def serve(version: dict[str, Any]) -> None:
        crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/compressionjobs.compression-operator.io"
        api.patch(crd, {"spec": {"versions": [version]}})

    serve(older_version())
    wait_for("the older CRD is served", lambda: not takes_all())
    yield
    serve(VERSION)
    wait_for("the CRD of today is served", takes_all)
    api.send("DELETE", f"{probe}/probe")


def end_job(namespace: Namespace, verdict: str) -> dict[str, Any]:
    """Run a job to its end, with an objective that is inconclusive and one that only a newer runner knows."""
    namespace.apply(job(spec__sla__onViolation="Alert"))
    pod = namespace.pod()
    namespace.run_pod(pod)
    newer = [OBJECTIVE, OBJECTIVE | {"name": "carbon.perMillion", "unit": "grams"}]
    namespace.end_pod(pod, message=summary(verdict, published=True, objectives=newer, digest="sha256:ab"))
    return phase_is(namespace, "Succeeded")


def look_again(namespace: Namespace, operator: OperatorProcess) -> None:
    """Have the operator look at the job once more."""
    before = operator.metric(LOOKS)
    namespace.api.patch(namespace.path("cpj", NAME), {"metadata": {"labels": {"look": "again"}}})
    wait_for("it has looked", lambda: operator.metric(LOOKS) > before)


def test_a_newer_runner_against_an_older_crd(namespace: Namespace, operator: OperatorProcess) -> None:
    refused = operator.metric(REFUSED)
    status = end_job(namespace, "Pass")
    assert (status["verdict"], status["confidence"], status["digest"]) == ("Pass", "0.95", "sha256:ab")
    assert status["report"] == "s3://models/minilm-int8-report"
    assert status["childJob"]["name"]
    assert not {"objectives", "compressed", "childrenCreated"} & status.keys()
    assert namespace.condition(NAME, "SLASatisfied")["status"] == "True"
    condition = namespace.condition(NAME, "StatusComplete")
    assert (condition["status"], condition["reason"]) == ("False", "StatusRefused")
    assert "status.objectives[0].reason" in condition["message"]
    assert "left out: baseline, compressed, latencyP99, objectives" in condition["message"]
    assert "upgrade the CRDs" in condition["message"]
    look_again(namespace, operator)
    assert operator.metric(REFUSED) == refused + 1
    assert namespace.status(NAME) == status


def test_least_status_ends_the_job(namespace: Namespace, operator: OperatorProcess) -> None:
    refused = operator.metric(REFUSED)
    status = end_job(namespace, "Inconclusive")
    assert "verdict" not in status
    assert namespace.condition(NAME, "Complete")["status"] == "True"
    assert namespace.condition(NAME, "SLASatisfied")["reason"] == "Inconclusive"
    assert "status.verdict: Unsupported value" in namespace.condition(NAME, "StatusComplete")["message"]
    look_again(namespace, operator)
    assert operator.metric(REFUSED) == refused + 2
    assert namespace.status(NAME) == status
