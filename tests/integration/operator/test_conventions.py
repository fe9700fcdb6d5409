"""Conventions of Kubernetes' tools: conditions, selectors, labels, and limits that can be raised."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from compressionjob.pod_input import digest_of
from localcluster import tools
from localcluster.apiserver import APIServer
from localcluster.errors import LocalClusterError
from tests.integration.operator.api import GROUP, Api, Namespace, phase_is, wait_for
from tests.integration.operator.conftest import runtime
from tests.support.manifests import incompressible_names, job
from tests.support.operator.builders import summary
from tests.support.operator.pods import input_of

pytestmark = pytest.mark.usefixtures("operator")

NAME = "minilm-int8"


def kubectl(server: APIServer, namespace: Namespace, *arguments: str) -> str:
    return server.kubectl.run(f"--namespace={namespace.name}", *arguments)


def patched(server: APIServer, namespace: Namespace, **spec: object) -> str:
    patch = json.dumps({"spec": spec})
    return kubectl(server, namespace, "patch", "cpj", NAME, "--type=merge", f"--patch={patch}")


def clock_becomes(namespace: Namespace, seconds: int | None) -> None:
    wait_for(
        f"the clock of the child is {seconds}",
        lambda: namespace.child()["spec"].get("activeDeadlineSeconds") == seconds,
    )


def test_kubectl_waits_for_and_selects_jobs(server: APIServer, namespace: Namespace) -> None:
    namespace.apply(job())
    pod = namespace.pod()
    namespace.run_pod(pod)
    phase_is(namespace, "Running")
    selected = ("get", "cpj", "--output=name", "--field-selector=status.phase=Running,spec.runtime=cpu")
    assert kubectl(server, namespace, *selected).split() == [f"compressionjob.compression-operator.io/{NAME}"]
    assert namespace.condition(NAME, "Ready")["status"] == "False"
    with pytest.raises(LocalClusterError, match="timed out"):
        kubectl(server, namespace, "wait", f"cpj/{NAME}", "--for=condition=Ready", "--timeout=1s")
    namespace.end_pod(pod, message=summary("Pass"))
    kubectl(server, namespace, "wait", f"cpj/{NAME}", "--for=condition=Ready", "--timeout=60s")
    status = namespace.status(NAME)
    assert status["observedGeneration"] == (namespace.job(NAME) or {})["metadata"]["generation"]
    assert {item["type"] for item in status["conditions"]}.isdisjoint(("Reconciling", "Stalled"))
    assert kubectl(server, namespace, *selected) == ""


@pytest.mark.parametrize("verdict", ["Pass", "Fail"])
def test_helm_waits_for_the_end_of_the_job(
    server: APIServer, namespace: Namespace, tmp_path: Path, verdict: str
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: model, version: 1.0.0}")
    manifest = job()
    del manifest["metadata"]["namespace"]
    (tmp_path / "templates" / "job.yaml").write_text(json.dumps(manifest))
    command = [tools.helm(), "install", "model", tmp_path, "--wait", "--timeout", "60s" if verdict == "Pass" else "20s"]
    place = ["--kubeconfig", server.kubeconfig, "--namespace", namespace.name]
    with subprocess.Popen([*command, *place], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as helm:
        pod = namespace.pod()
        namespace.run_pod(pod)
        phase_is(namespace, "Running")
        assert helm.poll() is None
        namespace.end_pod(pod, message=summary(verdict, published=verdict == "Pass"))
        reported, _ = helm.communicate(timeout=120)
    assert (helm.returncode == 0) == (verdict == "Pass"), reported
    assert ("STATUS: deployed" in reported) == (verdict == "Pass"), reported
    if verdict == "Fail":
        assert "Failed" in reported


def test_a_failed_job_is_stalled(namespace: Namespace) -> None:
    namespace.apply(job())
    pod = namespace.pod()
    namespace.run_pod(pod)
    namespace.end_pod(pod, message=summary("Fail", published=False))
    phase_is(namespace, "Failed")
    assert namespace.condition(NAME, "Stalled")["status"] == "True"
    assert namespace.condition(NAME, "Ready")["reason"] == "SLAViolated"
    assert not namespace.condition(NAME, "Reconciling")


def test_a_raised_deadline_reaches_the_running_child_and_a_lower_one_is_refused(
    server: APIServer, namespace: Namespace
) -> None:
    namespace.apply(job(spec__deadline="1h"))
    namespace.run_pod(namespace.pod())
    phase_is(namespace, "Running")
    clock_becomes(namespace, 3600)
    with pytest.raises(LocalClusterError, match="deadline can only be raised or removed"):
        patched(server, namespace, deadline="30m")
    before = wait_for("the deadline is known", lambda: namespace.status(NAME).get("deadlineTime"))
    patched(server, namespace, deadline="2h")
    clock_becomes(namespace, 7200)
    wait_for("the later end is shown", lambda: namespace.status(NAME).get("deadlineTime", "") > before)
    patched(server, namespace, deadline=None)
    clock_becomes(namespace, None)
    with pytest.raises(LocalClusterError, match="deadline can only be raised or removed"):
        patched(server, namespace, deadline="9h")
    assert namespace.job(NAME) is not None
    assert len(namespace.children()) == 1


def test_a_raised_budget_reaches_the_running_child(server: APIServer, api: Api, namespace: Namespace) -> None:
    name = f"priced-{namespace.name}"
    api.send("POST", f"{GROUP}/compressionruntimes", runtime(name, pricePerHour="3600"))
    namespace.apply(job(spec__runtime=name, spec__budget="600"))
    namespace.run_pod(namespace.pod())
    phase_is(namespace, "Running")
    clock_becomes(namespace, 570)
    with pytest.raises(LocalClusterError, match="budget can only be raised or removed"):
        patched(server, namespace, budget="599")
    patched(server, namespace, budget="6000")
    wait_for("the clock moves on", lambda: namespace.child()["spec"]["activeDeadlineSeconds"] > 5900)
    patched(server, namespace, budget=None)
    clock_becomes(namespace, None)
    api.send("DELETE", f"{GROUP}/compressionruntimes/{name}")


def test_pod_gets_long_and_special_input_unchanged(namespace: Namespace) -> None:
    names = ["$(HOME)", "$$", "$$(HOME)", 'tab\tquote"', *(f"特徴量-größe-{number}" * 8 for number in range(996))]
    namespace.apply(job(spec__data__evaluation__columns={"features": names}))
    given = input_of(namespace.child())["job"]["spec"]["data"]["evaluation"]["columns"]["features"]
    assert given == names
    pod = namespace.api.send("GET", namespace.path("pods", namespace.pod()))
    text = pod["metadata"]["annotations"]["compression-operator.io/input"]
    variables = {item["name"]: item.get("value") for item in pod["spec"]["containers"][0]["env"]}
    assert variables["COMPRESSION_INPUT_DIGEST"] == digest_of(text)
    assert pod["metadata"]["labels"]["app.kubernetes.io/instance"] == NAME


def test_oversized_job_fails_and_names_the_field(namespace: Namespace) -> None:
    namespace.apply(job(spec__data__evaluation__columns={"features": incompressible_names()}))
    status: dict[str, Any] = phase_is(namespace, "Failed")
    assert status["reason"] == "InvalidSpec"
    assert status["message"].startswith("spec.data.evaluation.columns.features: the job has ")
    assert not namespace.children()
