"""The rules in a real Prometheus, on what really happened."""

from tests.integration.observability.conftest import World
from tests.integration.operator.api import wait_for

# The API server was restarted until a reconcile failed: whether that is a tenth of all requests depends on the machine.
OF_THE_OUTAGE = {"CompressionOperatorAPITrouble"}


def alerts(world: World, *states: str) -> set[str]:
    return {item["labels"]["alertname"] for item in world.prometheus.ask("alerts")["alerts"] if item["state"] in states}


def test_every_rule_is_evaluated_without_error(world: World) -> None:
    rules = [rule for group in world.prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == 12
    assert {rule["health"] for rule in rules} == {"ok"}, [rule.get("lastError") for rule in rules]


def test_a_refused_model_is_told_and_jobs_that_wait_are_about_to_be(world: World) -> None:
    wait_for("the verdict is told", lambda: "CompressionJobSLAViolated" in alerts(world, "firing"))
    wait_for("the waiting jobs", lambda: "CompressionJobWaiting" in alerts(world, "pending"))
    assert alerts(world, "firing") == {"CompressionJobSLAViolated"}
    assert alerts(world, "pending") - OF_THE_OUTAGE == {"CompressionJobWaiting"}
