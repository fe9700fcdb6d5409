"""The chart's admission policies on a real API server with the real controllers."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from compression_operator.child.job import child_job
from compression_operator.records.job import JobRecord
from compressionjob.crd import definitions
from compressionjob.group import JOB_UID_LABEL, MANAGED_BY_LABEL, PART_LABEL, QUEUE_LABEL
from compressionjob.runtime import parse_runtime
from compressionjob.spec import parse_job
from localcluster.apiserver import APIServer
from tests.integration.chart.conftest import clean
from tests.integration.chart.helm_release import CHART, Helm
from tests.integration.operator.api import Api, Namespace, Refusal, wait_for
from tests.integration.operator.conftest import runtime
from tests.support.manifests import job

OPERATOR = "system:serviceaccount:compression-system:demo-compression-operator"
CONTROLLER = "system:serviceaccount:kube-system:job-controller"
COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"
SHARED = "system:kube-controller-manager"
ADA = "ada@example.com"
NAME = "minilm-int8"
FIXED = r"labels .* cannot be added, changed or removed"
NOTED = r"annotations .* cannot be added, changed or removed"
RUNTIME = {"annotations": {"compression-operator.io/runtime": "another"}}

As = Callable[[str], Namespace]


@pytest.fixture(scope="module")
def api(running: APIServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Return the API server with the chart's policies and CRDs."""
    helm = Helm(running.kubeconfig, tmp_path_factory.mktemp("helm"))
    shown = [f"--show-only=templates/{name}policy.yaml" for name in ("child", "queue")]
    running.kubectl.apply(
        *definitions().values(), *yaml.safe_load_all(helm.run("template", "demo", str(CHART), *shown))
    )
    running.kubectl.wait_for_crds()
    api = Api(running.kubeconfig)
    api.send("POST", "/api/v1/namespaces", {"metadata": {"name": "team-c"}})
    wait_for("its service account", lambda: api.get("/api/v1/namespaces/team-c/serviceaccounts/default"))
    wait_for("the policies are in force", lambda: in_force(Namespace(impersonate(running.kubeconfig, ADA), "team-c")))
    yield api
    clean(running)


def impersonate(kubeconfig: Path, name: str) -> Api:
    """An administrator under another name: RBAC allows everything, and policies see the name."""
    api = Api(kubeconfig)
    api.headers |= {"Impersonate-User": name, "Impersonate-Group": "system:masters"}
    return api


def in_force(namespace: Namespace) -> bool:
    """Return whether both kinds of policies are active."""
    labelled = {"metadata": {"name": "probe", "labels": {JOB_UID_LABEL: "x"}}}
    pod = labelled | {"spec": {"containers": [{"name": "a", "image": "b"}]}}
    batch = labelled | {"spec": {"template": {"spec": pod["spec"] | {"restartPolicy": "Never"}}}}
    return all(
        refused(lambda kind=kind, body=body: namespace.api.send("POST", f"{namespace.path(kind)}?dryRun=All", body))
        for kind, body in (("pods", pod), ("jobs", batch))
    )


def refused(work: Callable[[], object]) -> bool:
    try:
        work()
    except Refusal:
        return True
    return False


@pytest.fixture
def as_user(running: APIServer, api: Api) -> Iterator[As]:
    """Return the namespace with a user's rights."""
    yield lambda name: Namespace(impersonate(running.kubeconfig, name), "team-c")
    for kind in ("cpj", "jobs"):
        api.send("DELETE", f"{Namespace(api, 'team-c').path(kind)}?propagationPolicy=Background")


def child_of(owner: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return a child Job as the operator creates it."""
    manifest = child_job(JobRecord.of(owner), parse_job(owner).spec, parse_runtime(runtime("cpu")).spec)
    manifest["spec"] |= spec
    return manifest


@pytest.fixture
def owner(as_user: As) -> dict[str, Any]:
    """Return a CompressionJob, created by its author."""
    return as_user(ADA).apply(job())


@pytest.fixture
def child(as_user: As, owner: dict[str, Any]) -> dict[str, Any]:
    """Return its child Job, created by the operator."""
    operator = as_user(OPERATOR)
    return operator.api.send("POST", operator.path("jobs"), child_of(owner))


def changed(manifest: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Return a copy of a manifest with a change."""
    manifest = copy.deepcopy(manifest)
    change(manifest)
    return manifest


def bare(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a Job that does not belong to a CompressionJob."""
    manifest = copy.deepcopy(manifest)
    for metadata in (manifest["metadata"], manifest["spec"]["template"]["metadata"]):
        metadata["labels"] = {}
    del manifest["metadata"]["ownerReferences"]
    manifest["metadata"]["name"] = "bare"
    return manifest


def test_only_the_operator_creates_child_jobs(as_user: As, owner: dict[str, Any]) -> None:
    whole = child_of(owner)
    label_only = changed(bare(whole), lambda it: it["metadata"]["labels"].update({JOB_UID_LABEL: "x"}))
    template_only = changed(
        bare(whole), lambda it: it["spec"]["template"]["metadata"]["labels"].update({JOB_UID_LABEL: "x"})
    )
    owner_only = changed(
        bare(whole), lambda it: it["metadata"].update(ownerReferences=whole["metadata"]["ownerReferences"])
    )
    for user in (ADA, CONTROLLER, "system:serviceaccount:kube-system:cronjob-controller"):
        namespace = as_user(user)
        for manifest in (whole, label_only, template_only, owner_only):
            with pytest.raises(Refusal, match=r"only the Compression Operator creates Jobs .* create a CompressionJob"):
                namespace.api.send("POST", namespace.path("jobs"), manifest)
        namespace.api.send("POST", f"{namespace.path('jobs')}?dryRun=All", bare(whole))
    operator = as_user(OPERATOR)
    operator.api.send("POST", operator.path("jobs"), whole)


def labels(**values: str | None) -> dict[str, Any]:
    return {
        "metadata": {"labels": {f"compression-operator.io/{key.replace('_', '-')}": it for key, it in values.items()}}
    }


def test_the_labels_and_owners_of_a_child_job_stay(as_user: As, child: dict[str, Any]) -> None:
    ada, operator = as_user(ADA), as_user(OPERATOR)
    path = ada.path("jobs", child["metadata"]["name"])
    for patch in (labels(job_uid="another"), labels(job_uid=None), labels(part="Publish")):
        for target in (path, f"{path}/status"):
            with pytest.raises(Refusal, match=FIXED):
                ada.api.patch(target, patch)
    stranger = child["metadata"]["ownerReferences"][0] | {"uid": "another"}
    for user in (ada, operator, as_user(COLLECTOR)):
        with pytest.raises(Refusal, match="owner references of a CompressionJob's Job cannot change"):
            user.api.patch(path, {"metadata": {"ownerReferences": [stranger]}})
    with pytest.raises(Refusal, match="owner references"):
        ada.api.patch(path, {"metadata": {"ownerReferences": []}})
    with pytest.raises(Refusal, match=NOTED):
        ada.api.patch(path, {"metadata": RUNTIME})
    ada.api.patch(path, {"metadata": {"annotations": {"example.com/a": "b"}}})
    operator.api.patch(path, {"metadata": RUNTIME, "spec": {"activeDeadlineSeconds": 60}})
    ada.api.patch(path, {"metadata": {"labels": {"team": "a"}}})
    for remover in (SHARED, OPERATOR):
        as_user(remover).api.patch(f"{path}?dryRun=All", {"metadata": {"ownerReferences": []}})


def test_kueue_may_change_the_nodes_of_a_child_job(as_user: As, owner: dict[str, Any]) -> None:
    """Labels of a Job's template can change until it has started, like other scheduling directives."""
    ada, operator, kueue = as_user(ADA), as_user(OPERATOR), as_user("system:serviceaccount:kueue-system:kueue")
    made = operator.api.send("POST", operator.path("jobs"), child_of(owner, suspend=True))
    path = ada.path("jobs", made["metadata"]["name"])
    with pytest.raises(Refusal, match=FIXED):
        ada.api.patch(path, {"spec": {"template": labels(job_uid="another")}})
    with pytest.raises(Refusal, match=NOTED):
        ada.api.patch(path, {"spec": {"template": {"metadata": RUNTIME}}})
    template = {"metadata": {"labels": {"kueue.x-k8s.io/podset": "main"}}, "spec": {"nodeSelector": {"pool": "a"}}}
    managed = {"metadata": {"labels": {"kueue.x-k8s.io/managed": "true"}}}
    kueue.api.patch(path, managed | {"spec": {"suspend": False, "template": template}})
    kueue.api.patch(path, {"spec": {"suspend": True}})


def test_no_job_or_pod_becomes_a_child_later(as_user: As, owner: dict[str, Any]) -> None:
    ada = as_user(ADA)
    batch = ada.api.send("POST", ada.path("jobs"), bare(child_of(owner)))
    pod = ada.pod()
    for kind, name in (("jobs", "bare"), ("pods", pod)):
        for target in (ada.path(kind, name), ada.path(kind, name, "status")):
            with pytest.raises(Refusal, match=FIXED):
                ada.api.patch(target, labels(job_uid=owner["metadata"]["uid"]))
    owners = {"metadata": {"ownerReferences": child_of(owner)["metadata"]["ownerReferences"]}}
    with pytest.raises(Refusal, match="owner references of a CompressionJob's Job cannot change"):
        ada.api.patch(ada.path("jobs", batch["metadata"]["name"]), owners)


@pytest.mark.usefixtures("child")
def test_only_the_job_controller_creates_its_pods_and_their_owners_are_fixed(as_user: As) -> None:
    ada, shared, kubelet = as_user(ADA), as_user(SHARED), as_user("system:node:a")
    name = ada.pod()  # created by the Job controller
    pod = ada.api.send("GET", ada.path("pods", name))
    meta = {key: pod["metadata"][key] for key in ("labels", "ownerReferences")}
    forged = {"metadata": meta | {"name": "forged"}, "spec": {"containers": [{"name": "runner", "image": "mine"}]}}
    unowned = {**forged, "metadata": {"name": "forged", "labels": meta["labels"]}}
    for namespace, manifest in ((ada, forged), (as_user(OPERATOR), forged), (shared, unowned)):
        with pytest.raises(Refusal, match=r"only the Job controller creates pods .* create a CompressionJob"):
            namespace.api.send("POST", namespace.path("pods"), manifest)
    shared.api.send("POST", f"{shared.path('pods')}?dryRun=All", forged)
    # NetworkPolicies select runners, and pods with a cloud identity, by the last two.
    selected = (labels(ambient_identity="true"), {"metadata": {"labels": {MANAGED_BY_LABEL: None}}})
    for patch in (labels(job_uid="another"), labels(job_uid=None), labels(part="Publish"), *selected):
        with pytest.raises(Refusal, match=FIXED):
            ada.api.patch(ada.path("pods", name), patch)
    with pytest.raises(Refusal, match="owner references of a CompressionJob's pod cannot change"):
        ada.api.patch(ada.path("pods", name), {"metadata": {"ownerReferences": []}})
    image = {"spec": {"containers": [{"name": "runner", "image": "mine"}]}}
    with pytest.raises(Refusal, match="images of a CompressionJob's pod cannot change"):
        ada.api.send("PATCH", ada.path("pods", name), image, "application/strategic-merge-patch+json")
    with pytest.raises(Refusal, match=NOTED):
        ada.api.patch(ada.path("pods", name), {"metadata": RUNTIME})
    ada.api.patch(ada.path("pods", name), {"metadata": {"labels": {"team": "a"}}})
    Namespace(kubelet.api, "team-c").run_pod(name)
    Namespace(kubelet.api, "team-c").end_pod(name)
    wait_for("the Job controller has counted it", lambda: ada.child()["status"].get("succeeded"))


@pytest.mark.usefixtures("owner")
def test_orphaning_removes_the_owner_references(as_user: As, child: dict[str, Any]) -> None:
    """Use pods with the real garbage collector, since it handles CompressionJobs only half a minute after their CRD."""
    ada, collector, pod = as_user(ADA), as_user(COLLECTOR), as_user(ADA).pod()
    path = ada.path("jobs", child["metadata"]["name"])
    (reference,) = child["metadata"]["ownerReferences"]
    gone = {"metadata": {"uid": child["metadata"]["uid"], "ownerReferences": [{"$patch": "delete"} | reference]}}
    answer = collector.api.send("PATCH", path, gone, "application/strategic-merge-patch+json")
    assert "ownerReferences" not in answer["metadata"]
    ada.api.send("DELETE", f"{path}?propagationPolicy=Orphan")
    wait_for("the Job is gone", lambda: not ada.children())
    (orphan,) = ada.pods()
    assert (orphan["metadata"]["name"], orphan["metadata"].get("ownerReferences")) == (pod, None)
    assert orphan["metadata"]["labels"][PART_LABEL] == "Run"
    ada.api.send("DELETE", ada.path("pods", pod))


def test_the_queue_of_a_job_is_fixed(as_user: As, owner: dict[str, Any]) -> None:
    ada = as_user(ADA)
    queued = job("queued")
    queued["metadata"]["labels"] = {QUEUE_LABEL: "team-a"}
    ada.apply(queued)

    def patch(name: str, queue: str | None) -> None:
        ada.api.patch(ada.path("cpj", name), {"metadata": {"labels": {QUEUE_LABEL: queue}}})

    for name, queue, words in (
        ("queued", "team-b", r"\(team-a here, team-b requested\); delete the job and create another"),
        ("queued", None, r"\(team-a here, none requested\)"),
        (owner["metadata"]["name"], "team-a", r"\(none here, team-a requested\)"),
    ):
        with pytest.raises(Refusal, match=words):
            patch(name, queue)
    patch("queued", "team-a")
    ada.api.patch(ada.path("cpj", "queued"), {"metadata": {"labels": {"team": "a"}}, "spec": {"suspend": True}})
