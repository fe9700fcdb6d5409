"""A real operator with the chart's rights manages the runners' NetworkPolicies, cluster-wide and in namespaces."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from compression_operator.loop import network_policies
from compressionjob.group import API_VERSION
from localcluster.apiserver import APIServer
from tests.integration.chart.helm_release import Helm
from tests.integration.chart.test_permissions import granted, may
from tests.integration.operator import operators
from tests.integration.operator.api import GROUP, Api, Namespace, wait_for
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import job

RELEASE = "compression-operator"
NAMES = [f"{RELEASE}-runners", f"{RELEASE}-runners-identity"]
ON = "--set=networkPolicy.enabled=true"
TWO = "--set=watchNamespaces={team-a,team-b}"
SHARED = "--set=runtimes.cpu.measuring.isolation=Shared"  # each job in one pod
RESOURCE = "networkpolicies.networking.k8s.io"
VERBS = [f"{verb} {RESOURCE}" for verb in ("get", "create", "patch", "delete")]


@pytest.fixture(params=["team-a"])
def namespace(request: pytest.FixtureRequest, server: APIServer) -> Namespace:
    api = Api(server.kubeconfig)
    for name in ("team-a", "team-b"):
        server.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        wait_for("its service account", partial(api.get, f"/api/v1/namespaces/{name}/serviceaccounts/default"))
    return Namespace(api, request.param)


@contextmanager
def operator(server: APIServer, helm: Helm, folder: Path, *arguments: str) -> Iterator[OperatorProcess]:
    """Run the release's operator, with its rights, settings and options."""
    config = server.kubectl.read("get", "configmap", f"{RELEASE}-network", f"--namespace={helm.namespace}")
    settings = folder / "policy.yaml"
    settings.write_text(config["data"]["policy.yaml"])
    running = operators.start(
        server.service_account(helm.namespace, RELEASE), folder, f"--network-policy={settings}",
        f"--lease-namespace={helm.namespace}", f"--lease-name={RELEASE}", *arguments,
    )  # fmt: skip
    try:
        running.wait_leading()
        yield running
    finally:
        running.stop()
    wrong = [line for line in running.lines() if line["message"] == "this is a bug" or " 403:" in line["message"]]
    assert not wrong, wrong


def policies(namespace: Namespace) -> dict[str, dict[str, Any]]:
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace.name}/networkpolicies"
    return {item["metadata"]["name"]: item for item in namespace.api.items(path)}


def specs(namespace: Namespace) -> dict[str, Any]:
    return {name: item["spec"] for name, item in policies(namespace).items()}


@pytest.mark.parametrize(
    ("install", "options"), [((ON,), ()), ((ON, TWO), ("--namespace=team-a", "--namespace=team-b"))]
)
def test_policies_exist_before_the_first_job_and_until_the_last_job_ends(
    server: APIServer, helm: Helm, namespace: Namespace, tmp_path: Path, install: tuple[str, ...],
    options: tuple[str, ...],
) -> None:  # fmt: skip
    helm.install(RELEASE, SHARED, *install)
    assert policies(namespace) == {}
    with operator(server, helm, tmp_path, *options):
        namespace.apply(job())
        child = namespace.child()
        made = policies(namespace)
        assert sorted(made) == NAMES
        version = int(child["metadata"]["resourceVersion"])
        assert all(int(item["metadata"]["resourceVersion"]) < version for item in made.values())
        before = specs(namespace)

        path = f"/apis/networking.k8s.io/v1/namespaces/{namespace.name}/networkpolicies"
        namespace.api.patch(f"{path}/{NAMES[0]}", {"spec": {"egress": [{}], "policyTypes": ["Ingress"]}})
        wait_for("what was changed is restored", lambda: specs(namespace) == before)
        namespace.api.send("DELETE", f"{path}/{NAMES[1]}")
        wait_for("what was deleted is restored", lambda: specs(namespace) == before)

        namespace.api.send("DELETE", f"{namespace.path('cpj', 'minilm-int8')}?propagationPolicy=Background")
        wait_for("they are removed", lambda: not policies(namespace), seconds=3 * network_policies.SWEEP)
        assert policies(Namespace(namespace.api, "team-b")) == {}


def test_egress_is_limited_to_the_endpoint_of_the_store(
    server: APIServer, helm: Helm, namespace: Namespace, tmp_path: Path
) -> None:
    helm.install(RELEASE, SHARED, ON)
    stores = f"{GROUP}/namespaces/{namespace.name}/compressionstores"

    def opened() -> list[Any]:
        policy = specs(namespace).get(NAMES[0], {})
        return [peer for rule in policy.get("egress", []) for peer in rule.get("to", [])]

    with operator(server, helm, tmp_path):
        namespace.apply(job("before"))
        wait_for("egress is open", lambda: {"namespaceSelector": {}} in opened())
        # A job keeps the egress that it began with.
        namespace.api.send("DELETE", f"{namespace.path('cpj', 'before')}?propagationPolicy=Background")
        locations = [{"prefix": f"s3://models/{namespace.name}/", "access": "ReadWrite"}]
        spec = {"endpoint": "http://192.0.2.7:9000", "locations": locations}
        store = {"apiVersion": API_VERSION, "kind": "CompressionStore", "metadata": {"name": "s"}, "spec": spec}
        namespace.api.send("POST", stores, store)
        within = f"s3://models/{namespace.name}"
        namespace.apply(job(
            spec__model__source=f"{within}/model", spec__data__evaluation__source=f"{within}/rows.parquet",
            spec__output__destination=f"{within}/out", spec__storage={"store": "s"},
        ))  # fmt: skip
        wait_for("only the store is open", lambda: opened() == [{"ipBlock": {"cidr": "192.0.2.7/32"}}])
        namespace.api.patch(f"{stores}/s", {"spec": {"endpoint": "https://s3.example.com"}})
        wait_for("egress is open again", lambda: {"namespaceSelector": {}} in opened())


def test_a_job_waits_with_a_message_while_the_right_is_missing(
    server: APIServer, helm: Helm, namespace: Namespace, tmp_path: Path
) -> None:
    helm.install(RELEASE, SHARED, ON)
    role = f"{helm.namespace}:{RELEASE}"
    rules = server.kubectl.read("get", "clusterrole", role)["rules"]
    without = [rule for rule in rules if rule["resources"] != ["networkpolicies"]]
    assert len(without) == len(rules) - 1
    path = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}"
    namespace.api.patch(path, {"rules": without})
    settings = server.kubectl.read("get", "configmap", f"{RELEASE}-network", f"--namespace={helm.namespace}")
    (tmp_path / "policy.yaml").write_text(settings["data"]["policy.yaml"])
    running = operators.start(
        server.service_account(helm.namespace, RELEASE), tmp_path, f"--network-policy={tmp_path / 'policy.yaml'}",
        f"--lease-namespace={helm.namespace}", f"--lease-name={RELEASE}",
    )  # fmt: skip
    try:
        running.wait_leading()
        namespace.apply(job())
        # Pods of an earlier job may still be terminating.
        why = f"refused the NetworkPolicy: {NAMES[0]}: "
        wait_for("it says why", lambda: why in namespace.status("minilm-int8").get("message", ""))
        assert not namespace.children()
        namespace.api.patch(path, {"rules": rules})
        assert namespace.child()
    finally:
        running.stop()


def test_the_operator_may_touch_these_two_policies_and_no_other(
    server: APIServer, helm: Helm, namespace: Namespace
) -> None:
    helm.install(RELEASE)
    account = server.service_account(helm.namespace, RELEASE)
    assert granted(account, VERBS, namespace.name) == set()
    helm.upgrade(RELEASE, ON)
    for verb in VERBS:
        assert all(may(account, verb, namespace.name, name=name) for name in NAMES)
        assert not may(account, verb, namespace.name, name="another")
    assert granted(account, [*VERBS, f"list {RESOURCE}", f"watch {RESOURCE}"], namespace.name) == set()
