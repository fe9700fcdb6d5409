"""Limits of the operator's service account for Jobs, on a real API server."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from compressionjob.crd import definitions
from localcluster.apiserver import APIServer
from tests.integration.chart.conftest import clean
from tests.integration.chart.helm_release import CHART, Helm
from tests.integration.chart.test_admission import ADA, OPERATOR, child_of, impersonate
from tests.integration.operator.api import Api, Namespace, Refusal, wait_for
from tests.support.manifests import job

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def api(running: APIServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Return the API server with the CRDs and the policies for the operator and for authors."""
    helm = Helm(running.kubeconfig, tmp_path_factory.mktemp("helm"))
    shown = [f"--show-only=templates/{name}policy.yaml" for name in ("operator", "author")]
    running.kubectl.apply(
        *definitions().values(), *yaml.safe_load_all(helm.run("template", "demo", str(CHART), *shown))
    )
    running.kubectl.wait_for_crds()
    api = Api(running.kubeconfig)
    api.send("POST", "/api/v1/namespaces", {"metadata": {"name": "team-d"}})
    wait_for("its service account", lambda: api.get("/api/v1/namespaces/team-d/serviceaccounts/default"))
    operator = Namespace(impersonate(running.kubeconfig, OPERATOR), "team-d")
    probe = job("probe", spec__author="another")
    probe["metadata"]["namespace"] = "team-d"
    wait_for("the policy about Jobs is in force", lambda: _refuses(operator, "jobs", _bare()))
    wait_for("the policy about authors is in force", lambda: _refuses(operator, "cpj", probe))
    yield api
    clean(running)


def _bare() -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}
    return {"metadata": {"name": "bare"}, "spec": {"template": {"spec": pod}}}


def _refuses(namespace: Namespace, kind: str, manifest: dict[str, Any]) -> bool:
    try:
        namespace.api.send("POST", f"{namespace.path(kind)}?dryRun=All", manifest)
    except Refusal as refusal:
        return refusal.code == 403
    return False


@pytest.fixture
def operator(running: APIServer, api: Api) -> Iterator[Namespace]:
    """Return the namespace with the rights of the operator's service account."""
    yield Namespace(impersonate(running.kubeconfig, OPERATOR), "team-d")
    for kind in ("cpj", "jobs"):
        api.send("DELETE", f"{Namespace(api, 'team-d').path(kind)}?propagationPolicy=Background")


@pytest.fixture
def child(running: APIServer, operator: Namespace) -> dict[str, Any]:
    """Return the child Job of a CompressionJob, as the operator creates it."""
    ada = Namespace(impersonate(running.kubeconfig, ADA), operator.name)
    return child_of(ada.apply(job(spec__author=ADA)), suspend=True)


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return pod


def container_of(manifest: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = pod_of(manifest)["containers"][0]
    return container


def security_of(manifest: dict[str, Any]) -> dict[str, Any]:
    context: dict[str, Any] = container_of(manifest)["securityContext"]
    return context


def mounting(**source: Any) -> Change:
    return lambda it: pod_of(it)["volumes"].append({"name": "more", **source})


def another_container(it: dict[str, Any]) -> None:
    pod_of(it)["initContainers"] = [{"name": "first", "image": "b"}]


BAD: dict[str, tuple[Change, str]] = {
    "no owner": (lambda it: it["metadata"].pop("ownerReferences"), "whose controller is a CompressionJob"),
    "an owner that is not its controller": (
        lambda it: it["metadata"]["ownerReferences"][0].pop("controller"), "whose controller is a CompressionJob",
    ),
    "another kind of owner": (
        lambda it: it["metadata"]["ownerReferences"][0].update(kind="Deployment", apiVersion="apps/v1"),
        "whose controller is a CompressionJob",
    ),
    "the node's network": (lambda it: pod_of(it).update(hostNetwork=True), "no namespace of the node"),
    "the node's processes": (lambda it: pod_of(it).update(hostPID=True), "no namespace of the node"),
    "a node of its choice": (lambda it: pod_of(it).update(nodeName="control-plane"), "the node to the scheduler"),
    "a token": (lambda it: pod_of(it).update(automountServiceAccountToken=True), "mount no token"),
    "a token by default": (lambda it: pod_of(it).pop("automountServiceAccountToken"), "mount no token"),
    "a projected token": (
        mounting(projected={"sources": [{"serviceAccountToken": {"path": "token"}}]}), "mount no hostPath and no token",
    ),
    "hostPath": (mounting(hostPath={"path": "/"}), "mount no hostPath"),
    "root": (lambda it: pod_of(it)["securityContext"].update(runAsNonRoot=False), "run as no root"),
    "root in a container": (lambda it: security_of(it).update(runAsUser=0), "run as no root"),
    "privileged": (
        lambda it: security_of(it).update(privileged=True, allowPrivilegeEscalation=True), "are not privileged",
    ),
    "escalation": (lambda it: security_of(it).pop("allowPrivilegeEscalation"), "are not privileged"),
    "all capabilities": (lambda it: security_of(it).pop("capabilities"), "drop ALL capabilities"),
    "one capability": (
        lambda it: security_of(it)["capabilities"].update(add=["NET_ADMIN"]), "drop ALL capabilities",
    ),
    "no seccomp": (lambda it: pod_of(it)["securityContext"].pop("seccompProfile"), "seccompProfile"),
    "seccomp off": (
        lambda it: pod_of(it)["securityContext"].update(seccompProfile={"type": "Unconfined"}), "seccompProfile",
    ),
    "seccomp off in a container": (
        lambda it: security_of(it).update(seccompProfile={"type": "Unconfined"}), "seccompProfile",
    ),
    "AppArmor off": (
        lambda it: pod_of(it)["securityContext"].update(appArmorProfile={"type": "Unconfined"}), "AppArmor",
    ),
    "AppArmor off in a container": (
        lambda it: security_of(it).update(appArmorProfile={"type": "Unconfined"}), "AppArmor",
    ),
    "AppArmor off by annotation": (
        lambda it: it["spec"]["template"]["metadata"].setdefault("annotations", {}).update(
            {f"container.apparmor.security.beta.kubernetes.io/{container_of(it)['name']}": "unconfined"}
        ),
        "AppArmor",
    ),
    "an SELinux type": (
        lambda it: pod_of(it)["securityContext"].update(seLinuxOptions={"type": "spc_t"}), "SELinux",
    ),
    "an SELinux role in a container": (
        lambda it: security_of(it).update(seLinuxOptions={"role": "sysadm_r"}), "SELinux",
    ),
    "an unmasked /proc": (
        lambda it: (pod_of(it).update(hostUsers=False), security_of(it).update(procMount="Unmasked")), "procMount",
    ),
    "a sysctl": (
        lambda it: pod_of(it)["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]), "sysctl",
    ),
    "a probe of another host": (
        lambda it: container_of(it).update(livenessProbe={"httpGet": {"host": "10.0.0.1", "port": 80}}), "no host",
    ),
    "a hook at another host": (
        lambda it: container_of(it).update(lifecycle={"preStop": {"tcpSocket": {"host": "10.0.0.1", "port": 80}}}),
        "no host",
    ),
    "a port of the node": (lambda it: container_of(it)["ports"][0].update(hostPort=8080), "no hostPort"),
    "another container": (another_container, "are not privileged"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_job_with_more_rights_than_compression_needs_is_refused(
    name: str, operator: Namespace, child: dict[str, Any]
) -> None:
    change, words = BAD[name]
    bad = copy.deepcopy(child)
    change(bad)
    with pytest.raises(Refusal, match=words):
        operator.api.send("POST", operator.path("jobs"), bad)


def test_what_the_restricted_standard_allows_is_allowed(operator: Namespace, child: dict[str, Any]) -> None:
    profile = {"type": "Localhost", "localhostProfile": "runner"}
    pod_of(child)["securityContext"].update(
        appArmorProfile=profile, seLinuxOptions={"type": "container_t", "level": "s0"}
    )
    container_of(child)["livenessProbe"] = {"httpGet": {"port": 8080}}
    operator.api.send("POST", f"{operator.path('jobs')}?dryRun=All", child)


def test_the_operators_own_job_is_allowed_until_its_end(operator: Namespace, child: dict[str, Any]) -> None:
    made = operator.api.send("POST", operator.path("jobs"), child)
    path = operator.path("jobs", made["metadata"]["name"])
    operator.api.patch(path, {"spec": {"suspend": False, "activeDeadlineSeconds": 60}})
    operator.api.patch(path, {"spec": {"suspend": True}})
    operator.api.send("DELETE", f"{path}?propagationPolicy=Background")


def test_a_job_of_another_owner_is_not_affected(running: APIServer, operator: Namespace, child: dict[str, Any]) -> None:
    ada = Namespace(impersonate(running.kubeconfig, ADA), operator.name)
    ada.api.send("POST", ada.path("jobs"), _bare())
    path = operator.path("jobs", "bare")
    owners = {"metadata": {"ownerReferences": child["metadata"]["ownerReferences"]}}
    for work in (
        lambda: operator.api.patch(path, {"spec": {"suspend": True}}),
        lambda: operator.api.patch(path, owners),
        lambda: operator.api.send("DELETE", path),
    ):
        with pytest.raises(Refusal, match="whose controller is a CompressionJob"):
            work()
    ada.api.patch(path, {"spec": {"suspend": True}})
    ada.api.send("DELETE", f"{path}?propagationPolicy=Background")


def test_a_job_older_than_the_policy_can_still_be_suspended(
    running: APIServer, operator: Namespace, child: dict[str, Any]
) -> None:
    """Return a Job of an earlier version. The policy checks its pod only when the pod template changes."""
    ada = Namespace(impersonate(running.kubeconfig, ADA), operator.name)
    del pod_of(child)["securityContext"]["seccompProfile"]
    made = ada.api.send("POST", ada.path("jobs"), child)
    path = operator.path("jobs", made["metadata"]["name"])
    operator.api.patch(path, {"spec": {"activeDeadlineSeconds": 60}})
    with pytest.raises(Refusal, match="seccompProfile"):
        operator.api.patch(path, {"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}})
    kueue = Namespace(impersonate(running.kubeconfig, "system:serviceaccount:kueue-system:kueue"), operator.name)
    kueue.api.patch(path, {"spec": {"suspend": False, "template": {"spec": {"nodeSelector": {"a": "b"}}}}})


def test_an_author_is_the_user_who_creates_the_job(running: APIServer, operator: Namespace) -> None:
    ada = Namespace(impersonate(running.kubeconfig, ADA), operator.name)
    forged = job("forged", spec__author="rita@example.com")
    with pytest.raises(Refusal, match=rf"spec\.author \(rita@example\.com\): .*write {ADA}"):
        ada.apply(forged)
    ada.apply(job("unnamed"))
    ada.apply(job("named", spec__author=ADA))
    for change in ({"author": "rita@example.com"}, {"author": None}):
        with pytest.raises(Refusal, match="author cannot change once the job exists"):
            ada.api.patch(ada.path("cpj", "named"), {"spec": change})
    with pytest.raises(Refusal, match="author cannot change once the job exists"):
        ada.api.patch(ada.path("cpj", "unnamed"), {"spec": {"author": ADA}})
