"""The runners' policies with real packets and a real engine, which must agree with the tests' evaluator."""

from collections.abc import Iterator
from typing import Any

import pytest

from compression_operator.network.policies import runner_policies
from compression_operator.network.settings import NetworkSettings
from tests.e2e.harness import Namespace, wait_for
from tests.e2e.network.conftest import (
    GATEWAY,
    METADATA,
    MONITORING,
    OPERATOR,
    OUTSIDE_PORT,
    PODS,
    PORTS,
    STORES,
    SYSTEM,
    TEAM,
    Connection,
    Site,
)
from tests.support.network_policies import Network

pytestmark = pytest.mark.network

STORE = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": STORES}},
    "podSelector": {"matchLabels": {"app": "store"}},
}
PROMETHEUS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}}}
CASES: dict[str, tuple[dict[str, Any], list[str] | None]] = {
    "open": ({"mode": "Open"}, None),
    "restricted": ({"mode": "Restricted", "to": [STORE], "ports": [9000]}, None),
    "restricted to a wide block": ({"mode": "Restricted", "to": [{"ipBlock": {"cidr": "192.0.0.0/8"}}]}, None),
    "auto": ({"mode": "Auto"}, [f"http://store.{STORES}.svc:9000", f"http://{GATEWAY}:{OUTSIDE_PORT}"]),
}
"""Settings of egress, and the endpoints of the namespace's stores."""


def manifests(case: str) -> list[dict[str, Any]]:
    egress, endpoints = CASES[case]
    settings = NetworkSettings.model_validate(
        {
            "name": "runners",
            "operator": {"namespace": SYSTEM, "podLabels": OPERATOR},
            "metricsFrom": [PROMETHEUS],
            "egress": {"metadataAddresses": [f"{METADATA}/32"], **egress},
        }
    )
    return list(runner_policies(settings, TEAM, endpoints).values())


@pytest.fixture
def team(site: Site) -> Iterator[Namespace]:
    namespace = Namespace(site.kubectl, TEAM)
    yield namespace
    namespace("delete", "networkpolicies", "--all")


def expected(site: Site, policies: list[dict[str, Any]]) -> set[Connection]:
    network = Network(policies, {namespace: {} for namespace, _ in PODS.values()})
    targets = [(name, port) for name in PODS for port in PORTS]
    targets += [(address, OUTSIDE_PORT) for address in (GATEWAY, METADATA)]
    return {
        (source, target, port)
        for source in PODS
        for target, port in targets
        if network.allows(site.endpoints[source], site.endpoints[target], port)
    }


def test_without_policies_all_endpoints_are_reachable(site: Site) -> None:
    wait_for("the engine runs", lambda: site.reached() == expected(site, []), seconds=60)


@pytest.mark.parametrize("case", CASES)
def test_the_engine_agrees_with_the_evaluator(site: Site, team: Namespace, case: str) -> None:
    policies = manifests(case)
    for policy in policies:
        team.apply(policy)
    wanted = expected(site, policies)
    assert ("operator", "runner", 8080) in wanted
    assert ("runner", METADATA, OUTSIDE_PORT) not in wanted
    reached: set[Connection] = set()

    def settled() -> bool:
        nonlocal reached
        reached = site.reached()
        return reached == wanted

    try:
        wait_for(case, settled, seconds=45)
    except AssertionError:
        assert reached == wanted
        raise
