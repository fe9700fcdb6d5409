"""Cost and budgets of jobs on a real API server with the real Job controller, across restarts of operators."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.operator.api import GROUP, Api, Namespace, clock, wait_for
from tests.integration.operator.conftest import runtime
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import job
from tests.support.operator.builders import summary, violation

NAME = "minilm-int8"
Launch = Callable[..., OperatorProcess]


@pytest.fixture(scope="module")
def dear(api: Api) -> Iterator[str]:
    """A runtime of which a second costs 1."""
    api.send("POST", f"{GROUP}/compressionruntimes", runtime("dear", pricePerHour="3600"))
    yield "dear"
    api.send("DELETE", f"{GROUP}/compressionruntimes/dear")


def started(launch: Launch) -> OperatorProcess:
    operator = launch()
    operator.wait_leading()
    return operator


def usage_of(namespace: Namespace) -> list[dict[str, Any]]:
    pods: list[dict[str, Any]] = namespace.status(NAME).get("usage", {}).get("pods", [])
    return pods


def failed_for(namespace: Namespace, reason: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        condition = namespace.condition(NAME, "Failed")
        return condition if condition.get("status") == "True" else None

    condition = wait_for("the job fails", look)
    assert condition["reason"] == reason, condition
    return condition


def test_each_pod_is_charged_once_across_operators(launch: Launch, namespace: Namespace, dear: str) -> None:
    first_operator = started(launch)
    namespace.apply(job(spec__runtime=dear))
    first = namespace.pod()
    annotations = namespace.api.send("GET", namespace.path("pods", first))["metadata"]["annotations"]
    assert annotations["compression-operator.io/price-per-hour"] == "3600"
    namespace.run_pod(first, ago=100)
    wait_for("it is counted", lambda: usage_of(namespace))
    assert 100 <= usage_of(namespace)[0]["seconds"] < 160
    first_operator.kill()
    namespace.end_pod(first, code=4, message=violation("StorageUnavailable"))
    second = namespace.pod(other_than=first)
    namespace.run_pod(second, ago=20)
    other = started(launch)
    wait_for("the second is counted", lambda: len(usage_of(namespace)) == 2)
    before, now = usage_of(namespace)
    assert (before["ended"], now.get("ended", False)) == (True, False)
    assert before["runtime"] == now["runtime"] == "dear"
    shown = f'compression_operator_job_cost{{job="{NAME}",namespace="{namespace.name}"}}'
    assert other.metric(shown) == pytest.approx(float(namespace.status(NAME)["cost"]))
    namespace.end_pod(second, message=summary("Pass"))
    status = wait_for("it ends", lambda: s if (s := namespace.status(NAME)).get("phase") == "Succeeded" else None)
    total = sum(entry["seconds"] for entry in usage_of(namespace))
    assert total >= 120
    assert status["usage"]["seconds"] == total
    assert float(status["cost"]) == total


def test_a_budget_ends_the_job_before_it_is_exceeded(launch: Launch, namespace: Namespace, dear: str) -> None:
    operator = started(launch)
    namespace.apply(job(spec__runtime=dear, spec__budget="60", spec__deadline="1h"))
    assert namespace.child()["spec"]["activeDeadlineSeconds"] == 54
    namespace.run_pod(namespace.pod(), ago=45)
    shown = f'compression_operator_job_budget{{job="{NAME}",namespace="{namespace.name}"}}'
    wait_for("the budget is shown", lambda: operator.metric(shown) == 60)
    condition = failed_for(namespace, "BudgetExceeded")
    assert "spec.budget (60) would be exceeded" in condition["message"]
    assert "run the job again with a larger budget" in condition["message"]
    assert 45 <= float(namespace.status(NAME)["cost"]) <= 60
    assert not namespace.pods()


def test_a_budget_holds_while_no_operator_runs(launch: Launch, namespace: Namespace, dear: str) -> None:
    operator = started(launch)
    namespace.apply(job(spec__runtime=dear, spec__budget="10"))
    namespace.run_pod(namespace.pod())
    wait_for("it is counted", lambda: usage_of(namespace))
    assert operator.stop() == 0

    def ended() -> bool:
        return any(item["type"] == "Failed" for item in namespace.child()["status"].get("conditions", []))

    wait_for("the Job controller ends it", ended)
    assert namespace.status(NAME)["phase"] == "Running"
    started(launch)
    failed_for(namespace, "BudgetExceeded")
    assert float(namespace.status(NAME)["cost"]) <= 11


def test_deadline_and_budget_have_different_reasons(launch: Launch, namespace: Namespace, dear: str) -> None:
    started(launch)
    namespace.apply(job(spec__runtime=dear, spec__budget="1000", spec__deadline="3s"))
    namespace.run_pod(namespace.pod())
    wait_for("its end is a time", lambda: namespace.status(NAME).get("deadlineTime", "") > clock(-60))
    failed_for(namespace, "DeadlineExceeded")


def test_a_job_with_a_budget_waits_for_a_price(launch: Launch, namespace: Namespace) -> None:
    started(launch)
    namespace.api.send("POST", f"{GROUP}/compressionruntimes", runtime("unpriced"))
    namespace.apply(job(spec__runtime="unpriced", spec__budget="2.5"))
    accepted = wait_for("it says so", lambda: namespace.condition(NAME, "Accepted"))
    assert (accepted["status"], accepted["reason"]) == ("False", "RuntimeWithoutPrice")
    assert "spec.budget (2.5): the CompressionRuntime 'unpriced' has no pricePerHour" in accepted["message"]
    assert not namespace.children()
    namespace.api.patch(f"{GROUP}/compressionruntimes/unpriced", {"spec": {"pricePerHour": "0.5"}})
    assert namespace.child()["spec"]["activeDeadlineSeconds"] == 18_000 - 30
    namespace.api.send("DELETE", f"{GROUP}/compressionruntimes/unpriced")
