"""One API server for the tests of the chart; each test gets it without a release, CRD or job on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster import apiserver
from localcluster.apiserver import APIServer
from tests.integration.chart.helm_release import Helm


@pytest.fixture(scope="package")
def running() -> Iterator[APIServer]:
    controllers = ("job", "garbage-collector", "namespace", "clusterrole-aggregation-controller")
    with apiserver.start(controllers=controllers) as server:
        yield server


@pytest.fixture
def server(running: APIServer) -> Iterator[APIServer]:
    yield running
    kubectl, ours = running.kubectl, "--selector=app.kubernetes.io/part-of=compression-operator"
    for namespace in ("compression-system", "team-a", "team-b"):
        kinds = (
            "deployments,services,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,configmaps"
        )
        kubectl.run("delete", kinds, ours, f"--namespace={namespace}")
        kubectl.run("delete", "secrets", "--selector=owner=helm", f"--namespace={namespace}")
    kubectl.run("delete", "clusterroles,clusterrolebindings", ours)
    kubectl.run("delete", "jobs", "--all", "--namespace=default")
    # With them go their objects, which a busy machine does not do in two minutes.
    kubectl.run("delete", "crd", "--all", timeout=400)


@pytest.fixture
def helm(server: APIServer, tmp_path: Path) -> Helm:
    return Helm(server.kubeconfig, tmp_path)
