"""A real Kueue, with a queue for one pod at a time in the namespace of the end-to-end tests."""

from collections.abc import Callable, Iterator

import pytest

from localcluster import kueue
from localcluster.kubectl import Kubectl
from tests.e2e.conftest import localcluster
from tests.e2e.harness import Namespace, wait_for
from tests.e2e.kueue.queues import GROUP, Holder, holder, objects


@pytest.fixture(scope="session")
def kueue_answers(kubectl: Kubectl) -> None:
    """Install Kueue in the cluster, and build it if necessary."""
    if kueue.is_built():
        localcluster("kueue")
    else:
        pytest.skip("Kueue is not built: `make test-kueue` builds it once, in minutes")


@pytest.fixture(scope="session")
def queue(kueue_answers: None, namespace: Namespace) -> Iterator[None]:
    """Return the queue."""
    made = objects(namespace.name)
    for item in made:
        namespace.apply(item)
    yield
    for item in reversed(made):
        kind = f"{item['kind'].lower()}.{GROUP}"
        namespace("delete", kind, item["metadata"]["name"], "--ignore-not-found", "--wait=false")


@pytest.fixture
def empty_queue(queue: None, namespace: Namespace) -> None:
    """Return the queue without the jobs of earlier tests."""
    wait_for("the queue is empty", lambda: not namespace.items(f"workloads.{GROUP}"), 120)


@pytest.fixture
def hold(empty_queue: None, namespace: Namespace) -> Iterator[Callable[..., Holder]]:
    """Return a function that applies Jobs that fill the queue. They are deleted after the test."""
    holders: list[Holder] = []

    def apply(name: str, *, urgent: bool = False) -> Holder:
        namespace.apply(holder(name, urgent=urgent))
        holders.append(Holder(namespace, name))
        holders[-1].wait_running()
        return holders[-1]

    yield apply
    for item in holders:
        item.delete()
