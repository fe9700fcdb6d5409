"""CompressionStores on a real API server: allowed and refused access, and the fixed endpoints of started jobs."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compressionjob.report import Summary
from localcluster import tools
from localcluster.apiserver import APIServer
from tests.integration.operator import plugin
from tests.integration.operator.api import GROUP, Api, Namespace, phase_is, wait_for
from tests.integration.operator.conftest import runtime
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import job
from tests.support.operator.raw import raw_store

pytestmark = pytest.mark.usefixtures("operator")

Stored = Callable[..., dict[str, Any]]
NAME = "minilm-int8"
PART = "compression-operator.io/part"


@pytest.fixture
def store(namespace: Namespace) -> Stored:
    """Create a store in the namespace of the test, as the platform team does."""

    def create(name: str = "team-a", **spec: Any) -> dict[str, Any]:
        manifest = raw_store(name, **spec)
        manifest["metadata"] = {"name": name, "namespace": namespace.name}
        return namespace.api.send("POST", stores_path(namespace), manifest)

    return create


def stores_path(namespace: Namespace, name: str = "") -> str:
    return f"{GROUP}/namespaces/{namespace.name}/compressionstores{f'/{name}' if name else ''}"


def in_store(**changes: Any) -> dict[str, Any]:
    return job(**({"spec__storage": {"store": "team-a"}} | changes))


def environment_of(child: dict[str, Any]) -> dict[str, Any]:
    (container,) = child["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def test_a_job_waits_for_its_store_and_starts_when_it_comes(namespace: Namespace, store: Stored) -> None:
    namespace.apply(in_store())
    wait_for("it waits", lambda: namespace.condition(NAME, "Accepted").get("reason") == "StoreNotFound")
    assert namespace.children() == []
    store()
    child = namespace.child()
    assert environment_of(child)["MODEL_AWS_ACCESS_KEY_ID"]["secretKeyRef"]["name"] == "team-a-keys"
    wait_for("the status has it", lambda: namespace.status(NAME).get("stores"))
    assert namespace.status(NAME)["stores"] == [
        {"name": "team-a", "endpoint": "http://store:9000", "secretName": "team-a-keys"}
    ]


@pytest.mark.parametrize(
    ("changes", "reason", "says"),
    [
        ({"spec__storage": {"secretName": "s3"}}, "StoreRequired", "spec.storage.secretName: 's3'"),
        (
            {"spec__model__source": "s3://models-of-b/x"},
            "LocationNotAllowed",
            "spec.model.source: 's3://models-of-b/x'",
        ),
        ({"spec__output__destination": "s3://data/x"}, "LocationNotAllowed", "only reading there"),
    ],
)
def test_location_outside_the_store_is_refused(
    namespace: Namespace, store: Stored, changes: dict[str, Any], reason: str, says: str
) -> None:
    store()
    wait_until_seen(namespace)
    namespace.apply(in_store(**changes))
    status = phase_is(namespace, "Failed")
    assert (status["reason"], says in status["message"]) == (reason, True)
    assert namespace.children() == []


def wait_until_seen(namespace: Namespace) -> None:
    """Wait until the operator knows the store of a namespace: a job that names it starts."""
    namespace.apply(in_store(name="probe"))
    wait_for("the operator sees the store", namespace.children)
    namespace.api.send("DELETE", f"{namespace.path('cpj', 'probe')}?propagationPolicy=Background")
    wait_for("its Job is gone", lambda: not namespace.children())


def test_stores_of_other_namespaces_have_no_effect(namespace: Namespace, store: Stored, api: Api) -> None:
    store()
    wait_until_seen(namespace)
    name = f"{namespace.name}-b"
    api.send("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    wait_for("its service account", lambda: api.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"))
    other = Namespace(api, name)
    other.apply(job())
    assert "COMPRESSION_STORES" not in environment_of(other.child())
    other.apply(in_store(name="borrows"))
    wait_for("it waits", lambda: other.condition("borrows", "Accepted").get("reason") == "StoreNotFound")


def test_store_change_does_not_move_later_parts(
    namespace: Namespace, store: Stored, api: Api, operator: OperatorProcess
) -> None:
    api.send("POST", f"{GROUP}/compressionruntimes", runtime("serving-stores"))
    store()
    namespace.apply(in_store(spec__sla__runtime="serving-stores"))
    pod = namespace.pod()
    namespace.run_pod(pod)
    phase_is(namespace, "Running")
    moved = {"endpoint": "http://elsewhere:9000", "secretName": "other-keys"}
    api.patch(stores_path(namespace, "team-a"), {"spec": moved})
    namespace.apply(in_store(name="later"))
    wait_for("a job of today", lambda: len(namespace.children()) == 2)
    namespace.end_pod(pod, message=Summary(part="Compress", stages_run=3).to_message())

    def children() -> dict[str, dict[str, Any]]:
        return {
            f"{item['metadata']['labels']['compression-operator.io/job']} {item['metadata']['labels'][PART]}": item
            for item in namespace.children()
        }

    parts = wait_for("the part that measures", lambda: it if f"{NAME} Measure" in (it := children()) else None)
    addresses = {
        name: json.loads(environment_of(child)["COMPRESSION_STORES"])[0]["endpoint"] for name, child in parts.items()
    }
    assert addresses == {
        f"{NAME} Compress": "http://store:9000",
        f"{NAME} Measure": "http://store:9000",
        "later Run": "http://elsewhere:9000",
    }


def test_submit_reports_store_problems_like_the_operator(
    namespace: Namespace, store: Stored, server: APIServer, tmp_path: Path
) -> None:
    ours = plugin.Plugin(plugin.write_scripts(tmp_path), server.kubeconfig, namespace.name)
    manifest = json.dumps(job())
    assert (
        ours.run("submit", "-", "--dry-run", stdin=manifest.replace('"namespace": "default"', '"labels": {}')).code == 0
    )
    store()
    for given, says in (
        (job(), "set spec.storage.store to one of this namespace's CompressionStores (team-a)"),
        (in_store(spec__storage={"store": "tema-a"}), "there are: team-a; did you mean 'team-a'?"),
        (in_store(spec__output__destination="s3://data/x"), "allows only reading there"),
    ):
        del given["metadata"]["namespace"]
        refused = ours.run("submit", "-", stdin=json.dumps(given))
        assert refused.code != 0
        assert says in refused.err
    assert namespace.job(NAME) is None


def test_kubectl_shows_stores(namespace: Namespace, store: Stored, server: APIServer) -> None:
    store(hub={"endpoint": "http://hub:8080"})
    command = [str(tools.kubectl()), f"--kubeconfig={server.kubeconfig}", "get", "cpst", "-n", namespace.name]
    head, line = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert head.split() == ["NAME", "ENDPOINT", "SECRET", "HUB", "LOCATIONS", "AGE"]
    assert line.split()[:4] == ["team-a", "http://store:9000", "team-a-keys", "http://hub:8080"]
    assert "s3://models/" in line


@pytest.mark.parametrize("prefix", ["nfs://x", "s3://models/../x", "s3://models//x", "/mnt/x"])
def test_api_server_refuses_an_invalid_prefix(store: Stored, prefix: str) -> None:
    with pytest.raises(Exception, match="write s3://BUCKET/PREFIX/ or pvc://CLAIM/PATH/"):
        store(locations=[{"prefix": prefix}])
