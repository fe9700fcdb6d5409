"""Fixtures of all end-to-end tests: the cluster, the operator from its chart, and models in the object store."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from demo.installation import ensure_bucket, install_chart, object_store, seed, upload
from localcluster.components import admin_kubeconfig
from localcluster.kubectl import Kubectl
from localcluster.paths import REPOSITORY
from tests.e2e.harness import Job, Namespace
from tests.e2e.jobs import BUCKET, empty
from tests.support import tiny_models

NAMESPACE = "compression-e2e"


def localcluster(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "localcluster", *arguments], check=True, cwd=REPOSITORY)


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Return kubectl of a running cluster with this tree's operator."""
    localcluster("up")
    install_chart()
    return Kubectl(admin_kubeconfig())


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the object store with MiniLM, two tiny models, and data."""
    client = object_store()
    seed(client)
    ensure_bucket(client, BUCKET)
    folder = tmp_path_factory.mktemp("models")
    upload(client, tiny_models.perceptron(folder / "perceptron"), BUCKET, "perceptron")
    upload(client, tiny_models.array_data(folder / "arrays.npz"), BUCKET, "arrays.npz")
    upload(client, tiny_models.bert(folder / "tiny"), BUCKET, "tiny")
    upload(client, tiny_models.text_data(folder / "sentences.parquet"), BUCKET, "sentences.parquet")
    training = tiny_models.text_data(folder / "training.parquet", labels=[0] * 400, skip=60)
    upload(client, training, BUCKET, "training.parquet")
    return client


@pytest.fixture(scope="session")
def namespace(kubectl: Kubectl, store: Any) -> Iterator[Namespace]:
    """Return a new namespace that enforces the restricted Pod Security Standard."""
    kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    empty(store, "results")
    localcluster("namespace", NAMESPACE)
    yield Namespace(kubectl, NAMESPACE)
    kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def submit(namespace: Namespace) -> Iterator[Callable[[dict[str, Any]], Job]]:
    """Return a function that applies jobs. They are deleted after the test, to free the CPUs."""
    jobs: list[Job] = []

    def apply(manifest: dict[str, Any]) -> Job:
        jobs.append(namespace.job(manifest))
        return jobs[-1]

    yield apply
    for job in jobs:
        namespace("delete", "cpj", job.name, "--ignore-not-found", "--wait=false")
