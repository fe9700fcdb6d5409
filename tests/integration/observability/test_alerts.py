"""The alert rules in a real Prometheus on real metrics, and the notifications of a real Alertmanager."""

from dashboards.generated import ROOT
from dashboards.rules import alerts
from tests.integration.observability.alertmanager import alerts_of
from tests.integration.observability.conftest import World
from tests.integration.operator.api import wait_for

# The API server was restarted until a reconcile failed. It depends on the machine whether that is a tenth of all
# requests, and whether the operator sends requests before the server has read its roles and so refuses them with 403.
OF_THE_OUTAGE = {"CompressionOperatorAPITrouble", "CompressionOperatorForbidden", "CompressionOperatorReconcileErrors"}


def raised(world: World, *states: str) -> set[str]:
    return {item["labels"]["alertname"] for item in world.prometheus.ask("alerts")["alerts"] if item["state"] in states}


def test_every_rule_is_evaluated_without_error(world: World) -> None:
    rules = [rule for group in world.prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {alert.name for alert in alerts()}
    assert {rule["health"] for rule in rules} == {"ok"}, [rule.get("lastError") for rule in rules]


def test_a_failed_verdict_raises_its_alert_and_no_other(world: World) -> None:
    wait_for("the alert fires", lambda: "CompressionJobSLAViolated" in raised(world, "firing"))
    assert raised(world, "firing", "pending") - OF_THE_OUTAGE == {"CompressionJobSLAViolated"}


def test_the_alert_reaches_its_receiver_through_the_alertmanager(world: World) -> None:
    wait_for("the receiver gets the alert", lambda: "CompressionJobSLAViolated" in alerts_of(world.receiver))
    alert = alerts_of(world.receiver)["CompressionJobSLAViolated"]
    assert alert["status"] == "firing"
    assert alert["labels"] == {"alertname": "CompressionJobSLAViolated", "namespace": "system", "severity": "info"}
    assert alert["annotations"]["summary"] == "A compressed model does not keep its SLA."
    assert "1 CompressionJobs ended with the verdict Fail" in alert["annotations"]["description"]
    assert (ROOT / alert["annotations"]["runbook_url"]).exists()
    assert set(alerts_of(world.receiver)) - OF_THE_OUTAGE == {"CompressionJobSLAViolated"}
