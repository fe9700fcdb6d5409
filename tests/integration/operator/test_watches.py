"""Watches restart after an error, and objects that were deleted meanwhile are dropped."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from localcluster.apiserver import APIServer
from tests.integration.operator import proxy
from tests.integration.operator.api import Api, Namespace, wait_for
from tests.integration.operator.operators import OperatorProcess
from tests.integration.operator.proxy import Proxy
from tests.support.manifests import job

RESTARTS = "compression_operator_watch_restarts_total"
Launch = Callable[..., OperatorProcess]


@pytest.fixture
def tampering(server: APIServer, tmp_path: Path) -> Iterator[tuple[Proxy, Path]]:
    with proxy.running(server.kubeconfig, tmp_path) as running:
        yield running


def _restarted(operator: OperatorProcess, count: int) -> bool:
    return operator.metric(RESTARTS) == count


def known_jobs(operator: OperatorProcess) -> float:
    """How many jobs the operator knows."""
    lines = [line for line in operator.fetch("/metrics").splitlines() if line.startswith("compression_operator_jobs{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def delete_unheard(namespace: Namespace, between: Proxy, operator: OperatorProcess, name: str) -> None:
    """Delete a job, with its child, without any event that reaches the operator."""
    # Suspended: the operator has no reason to look at it again by itself.
    wait_for("it is suspended", lambda: namespace.status(name).get("phase") == "Suspended")
    known = known_jobs(operator)
    between.hides = lambda event: name in event["object"]["metadata"].get("name", "")
    namespace.api.send("DELETE", namespace.path("cpj", name))
    wait_for("it is gone", lambda: namespace.job(name) is None)
    assert known_jobs(operator) == known, "the operator heard of it"


def child_of(namespace: Namespace, name: str) -> bool:
    return any(child["metadata"]["name"].startswith(f"{name}-") for child in namespace.children())


def test_watches_recover_from_every_error(
    namespace: Namespace, tampering: tuple[Proxy, Path], launch: Launch, api: Api
) -> None:
    between, kubeconfig = tampering
    # One namespace: jobs of other tests come and go.
    operator = launch("--lease-name=errors", f"--namespace={namespace.name}", kubeconfig=kubeconfig)
    operator.wait_leading()
    for name in ("first", "second"):
        namespace.apply(job(name=name, spec__suspend=True))
    wait_for("the operator knows two jobs", lambda: known_jobs(operator) == 2)
    # 410: kopf lists the kind again, all by itself.
    delete_unheard(namespace, between, operator, "first")
    assert between.fail("compressionjobs", 410)
    wait_for("the first job is forgotten", lambda: known_jobs(operator) == 1, seconds=30)
    assert operator.metric(RESTARTS) == 0
    # Anything else ends kopf.
    delete_unheard(namespace, between, operator, "second")
    for restarts, (plural, code) in enumerate((("compressionjobs", 500), ("pods", 403)), start=1):
        assert between.fail(plural, code)
        wait_for("the watches start again", partial(_restarted, operator, restarts))
        name = f"after-{code}"
        namespace.apply(job(name=name))
        wait_for("a child of a new job", partial(child_of, namespace, name))
    wait_for("the second job is forgotten", lambda: known_jobs(operator) == 2, seconds=30)
    assert operator.metric("compression_operator_leader") == 1
    assert any("injected" in line.get("exception", "") for line in operator.lines())
    assert operator.stop() == 0
    lease = api.get("/apis/coordination.k8s.io/v1/namespaces/default/leases/errors")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "", "the signal reached the operator, not only kopf"
