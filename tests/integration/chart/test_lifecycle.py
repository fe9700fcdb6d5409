"""Install, upgrade, uninstall and reinstall: users' objects and running jobs are not affected."""

import json
from pathlib import Path
from typing import Any

import pytest

from compressionjob.crd import definitions
from localcluster.apiserver import APIServer
from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from tests.integration.chart.helm_release import API, CHART, Helm, previous_chart
from tests.support.manifests import job

CRDS = [definition["metadata"]["name"] for definition in definitions().values()]


def spec_fields(kubectl: Kubectl) -> set[str]:
    crd = kubectl.read("get", "crd", "compressionjobs.compression-operator.io")
    return set(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])


def identity(kubectl: Kubectl, kind: str, name: str) -> tuple[str, str]:
    """Return the uid and the generation of an object, which show that it was replaced or changed."""
    metadata = kubectl.read("get", kind, name, "--namespace=default")["metadata"]
    return metadata["uid"], metadata["resourceVersion"]


def start_job(kubectl: Kubectl, account: str = "compression-operator") -> None:
    """Create a CompressionJob and its child Job as the operator does, with a pod that runs during the test."""
    kubectl.run("create", "--filename=-", stdin=json.dumps(job()))
    owner = kubectl.read("get", "cpj", "minilm-int8", "--namespace=default")
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "runner", "image": "compression-runner:0.1.0", "securityContext": security}],
    }
    child: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "minilm-int8-child",
            "namespace": "default",
            "ownerReferences": [
                {
                    "apiVersion": owner["apiVersion"],
                    "kind": owner["kind"],
                    "name": owner["metadata"]["name"],
                    "uid": owner["metadata"]["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {"template": {"spec": pod}},
    }
    operator = f"system:serviceaccount:compression-system:{account}"
    kubectl.run("create", "--filename=-", f"--as={operator}", stdin=json.dumps(child))
    kubectl.run("wait", "job/minilm-int8-child", "--namespace=default", "--for=jsonpath={.status.active}=1")


def test_a_first_install_needs_no_second_step(server: APIServer, helm: Helm) -> None:
    notes = helm.install("compression-operator")
    assert "kubectl get compressionruntimes" in notes
    server.kubectl.run("get", "crd", *CRDS)
    runtimes = server.kubectl.read("get", "compressionruntimes")["items"]
    assert {item["metadata"]["name"]: item["spec"]["image"] for item in runtimes} == {
        "cpu": "compression-runner:0.1.0",
        "nvidia-gpu": "compression-runner:0.1.0-cuda",
    }
    server.kubectl.run("get", "deployment", "compression-operator", "--namespace=compression-system")


def test_an_upgrade_installs_new_crds_and_does_not_disturb_running_jobs(
    server: APIServer, helm: Helm, tmp_path: Path
) -> None:
    kubectl = server.kubectl
    helm.install("compression-operator", chart=previous_chart(tmp_path))
    assert "ttl" not in spec_fields(kubectl)
    start_job(kubectl)
    before = [identity(kubectl, "cpj", "minilm-int8"), identity(kubectl, "job", "minilm-int8-child")]
    runtime = kubectl.read("get", "compressionruntime", "cpu")
    assert "CompressionRuntime" not in helm.manifest_kinds("compression-operator")  # it was a hook

    helm.upgrade("compression-operator")

    assert "ttl" in spec_fields(kubectl)
    assert [identity(kubectl, "cpj", "minilm-int8"), identity(kubectl, "job", "minilm-int8-child")] == before
    assert helm.manifest_kinds("compression-operator").count("CompressionRuntime") == 2
    upgraded = kubectl.read("get", "compressionruntime", "cpu")
    assert upgraded["metadata"]["uid"] == runtime["metadata"]["uid"]
    assert upgraded["spec"]["resources"]["limits"] == {"memory": "4Gi"}


def test_uninstall_keeps_the_jobs_and_a_new_install_of_the_release_adopts_them(server: APIServer, helm: Helm) -> None:
    kubectl = server.kubectl
    helm.install("compression-operator")
    start_job(kubectl)
    before = [identity(kubectl, "cpj", "minilm-int8"), identity(kubectl, "job", "minilm-int8-child")]

    helm.run("uninstall", "compression-operator")
    assert "NotFound" in refusal(kubectl, "get", "deployment", "compression-operator", "--namespace=compression-system")
    assert [identity(kubectl, "cpj", "minilm-int8"), identity(kubectl, "job", "minilm-int8-child")] == before
    assert len(kubectl.read("get", "compressionruntimes")["items"]) == 2

    helm.install("compression-operator")
    helm.upgrade("compression-operator")
    helm.run("uninstall", "compression-operator")  # now the runtimes are not hooks any more
    assert [identity(kubectl, "cpj", "minilm-int8"), identity(kubectl, "job", "minilm-int8-child")] == before
    assert len(kubectl.read("get", "compressionruntimes")["items"]) == 2


def test_a_release_of_another_name_needs_take_ownership(server: APIServer, helm: Helm) -> None:
    helm.install("first")
    start_job(server.kubectl, "first-compression-operator")
    before = identity(server.kubectl, "cpj", "minilm-int8")
    helm.run("uninstall", "first")

    with pytest.raises(LocalClusterError, match="invalid ownership metadata"):
        helm.install("second")
    helm.install("second", "--take-ownership")
    assert identity(server.kubectl, "cpj", "minilm-int8") == before
    labels = server.kubectl.read("get", "crd", CRDS[0])["metadata"]["annotations"]
    assert labels["meta.helm.sh/release-name"] == "second"


def test_crds_created_by_kubectl_need_take_ownership(server: APIServer, helm: Helm) -> None:
    crds = [f"--filename={path}" for path in sorted((CHART / "files" / "crds").glob("*.yaml"))]
    server.kubectl.run("apply", "--server-side", *crds)
    server.kubectl.wait_for_crds()
    with pytest.raises(LocalClusterError, match="invalid ownership metadata"):
        helm.install("compression-operator")
    helm.install("leaves-them", "--set=crds.install=false")
    helm.run("uninstall", "leaves-them")
    server.kubectl.run("delete", "compressionruntimes", "--all")
    # Helm 4 uses server-side apply, and kubectl is the manager of every field.
    helm.install("compression-operator", "--take-ownership", "--force-conflicts")


def test_a_runtime_follows_the_values_and_stays_after_its_removal_from_them(server: APIServer, helm: Helm) -> None:
    helm.install("compression-operator", "--set=runtimes.nvidia-gpu=null")
    assert [item["metadata"]["name"] for item in server.kubectl.read("get", "cprt")["items"]] == ["cpu"]
    helm.upgrade("compression-operator", "--set=runtimes.cpu.image=other:1", "--set=runtimes.big.image=other:2")
    runtimes = server.kubectl.read("get", "cprt")["items"]
    assert {item["metadata"]["name"]: item["spec"]["image"] for item in runtimes} == {
        "big": "other:2",
        "cpu": "other:1",
        "nvidia-gpu": "compression-runner:0.1.0-cuda",
    }
    helm.upgrade("compression-operator")
    server.kubectl.run("get", "cprt", "big")


def test_helm_template_and_kubectl_apply_in_two_steps(server: APIServer, helm: Helm) -> None:
    """Installation without helm, as in docs/install.md."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": helm.namespace}}
    server.kubectl.apply(namespace)
    chart = str(CHART)
    crds = helm.run("template", "demo", chart, "--show-only=templates/crds.yaml")
    server.kubectl.run("apply", "--server-side", "--filename=-", stdin=crds)
    server.kubectl.wait_for_crds()
    everything = helm.run("template", "demo", chart, "--skip-tests", "--api-versions", API)
    server.kubectl.run("apply", "--server-side", "--dry-run=server", "--filename=-", stdin=everything)
    server.kubectl.run("apply", "--server-side", "--filename=-", stdin=everything)
    assert len(server.kubectl.read("get", "compressionruntimes")["items"]) == 2


def refusal(kubectl: Kubectl, *arguments: str) -> str:
    with pytest.raises(LocalClusterError) as caught:
        kubectl.run(*arguments)
    return str(caught.value)
