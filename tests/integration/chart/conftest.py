"""One API server for the tests of the chart; each test gets it without a release, CRD or job on it."""

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
    """Leave no release, CRD or job behind."""
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
    kubectl.run("delete", "jobs", "--all", "--namespace=default")
    kubectl.run("delete", "crd", "--all", "--wait=false")
    api = Api(running.kubeconfig)
    wait_for("the CRDs are gone", lambda: none_left(api), seconds=120, pause=0.5)


def none_left(api: Api) -> bool:
    """Whether no CRD is left; those that are left are touched.

    The API server deletes their objects first. Where the storage of a CRD is just being made anew, that fails, and so
    does the second try, by a conflict with the status that the first one wrote. The next one comes after five minutes,
    or when something but the status changes.
    """
    left = [item["metadata"]["name"] for item in api.items(CRDS)]
    for name in left:
        with suppress(Refusal):  # it has gone meanwhile
            api.patch(f"{CRDS}/{name}", {"metadata": {"annotations": {"touched-at": str(time.monotonic())}}})
    return not left


@pytest.fixture
def helm(server: APIServer, tmp_path: Path) -> Helm:
    return Helm(server.kubeconfig, tmp_path)
