"""The API server of the chart's tests. Each test starts without releases, CRDs and jobs."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from localcluster import apiserver
from localcluster.apiserver import APIServer
from tests.integration.chart.helm_release import Helm
from tests.integration.operator.api import Api, Refusal, wait_for

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="package")
def running() -> Iterator[APIServer]:
    controllers = ("job", "garbage-collector", "namespace", "clusterrole-aggregation-controller")
    with apiserver.start(controllers=controllers, service_accounts=True) as server:
        yield server


@pytest.fixture
def server(running: APIServer) -> Iterator[APIServer]:
    yield running
    clean(running)


def clean(running: APIServer) -> None:
    """Remove all releases, CRDs and jobs."""
    kubectl, ours = running.kubectl, "--selector=app.kubernetes.io/part-of=compression-operator"
    kubectl.run("delete", "validatingadmissionpolicybindings,validatingadmissionpolicies", ours)
    for namespace in ("compression-system", "team-a", "team-b"):
        kinds = (
            "deployments,services,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,configmaps,"
            "secrets"
        )
        kubectl.run("delete", kinds, ours, f"--namespace={namespace}")
        kubectl.run("delete", "secrets", "--selector=owner=helm", f"--namespace={namespace}")
    kubectl.run("delete", "clusterroles,clusterrolebindings", ours)
    kubectl.run("delete", "crd", "--all", "--wait=false")
    api = Api(running.kubeconfig)
    wait_for("the CRDs are gone", lambda: none_left(api), seconds=120, pause=0.5)
    # The garbage collector waits up to half a minute after CRDs have changed.
    kubectl.run("delete", "jobs", "--all", "--all-namespaces")


def none_left(api: Api) -> bool:
    """Return whether all CRDs are deleted. Update the remaining ones.

    The API server deletes their objects first. While the storage of a CRD is created again, that fails, and so does
    the second attempt, by a conflict with the status of the first. The next attempt is after five minutes, or when
    another field than the status changes.
    """
    left = [item["metadata"]["name"] for item in api.items(CRDS)]
    for name in left:
        with suppress(Refusal):  # deleted meanwhile
            api.patch(f"{CRDS}/{name}", {"metadata": {"annotations": {"touched-at": str(time.monotonic())}}})
    return not left


@pytest.fixture
def helm(server: APIServer, tmp_path: Path) -> Helm:
    return Helm(server.kubeconfig, tmp_path)
