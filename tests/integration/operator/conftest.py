"""A real API server with the real Job controller and garbage collector; operators as processes; no kubelet."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compressionjob.crd import definitions
from localcluster import apiserver
from localcluster.apiserver import APIServer
from tests.integration.operator import operators
from tests.integration.operator.api import GROUP, Api, Namespace, wait_for
from tests.integration.operator.operators import OperatorProcess

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def server() -> Iterator[APIServer]:
    with apiserver.start(controllers=("job", "garbage-collector", "namespace")) as running:
        running.kubectl.apply(*definitions().values())
        running.kubectl.wait_for_crds()
        api = Api(running.kubeconfig)
        api.send("POST", f"{GROUP}/compressionruntimes", runtime("cpu"))
        yield running


@pytest.fixture(scope="package")
def api(server: APIServer) -> Api:
    return Api(server.kubeconfig)


@pytest.fixture
def namespace(api: Api) -> Namespace:
    """A namespace of its own for each test."""
    name = f"test-{next(_numbers)}"
    api.send("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    wait_for("its service account", lambda: api.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"))
    return Namespace(api, name)


@pytest.fixture
def launch(server: APIServer, tmp_path: Path) -> Iterator[Callable[..., OperatorProcess]]:
    """Start replicas, which end with the test."""
    started: list[OperatorProcess] = []

    def start(*arguments: str, kubeconfig: Path | None = None) -> OperatorProcess:
        started.append(operators.start(kubeconfig or server.kubeconfig, tmp_path, *arguments))
        return started[-1]

    yield start
    for operator in started:
        if operator.process.poll() is None:
            operator.stop()
        bugs = [line for line in operator.lines() if line["message"] == "this is a bug"]
        assert not bugs, bugs


@pytest.fixture(scope="module")
def operator(
    request: pytest.FixtureRequest, server: APIServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """One operator for all tests of a module, which may say that its children are not protected."""
    protected = getattr(request.module, "CHILDREN_PROTECTED", True)
    running = operators.start(server.kubeconfig, tmp_path_factory.mktemp("operator"), protected=protected)
    running.wait_leading()
    yield running
    assert running.stop() == 0
    bugs = [line for line in running.lines() if line["message"] == "this is a bug"]
    assert not bugs, bugs


def runtime(name: str, **spec: object) -> dict[str, object]:
    """A CompressionRuntime whose jobs have one pod, unless ``spec`` says otherwise."""
    return {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionRuntime",
        "metadata": {"name": name},
        "spec": {
            "image": "runner:1",
            "resources": {"limits": {"memory": "2Gi"}},
            "measuring": {"isolation": "Shared"},
            **spec,
        },
    }
