"""Evaluation of the runners' policies: in each mode, by selectors and addresses, with and without identity."""

from typing import Any

import pytest

from compression_operator.network.endpoints import egress_rule
from compression_operator.network.policies import policy_names, runner_policies
from compression_operator.network.settings import NetworkSettings
from compressionjob.group import AMBIENT_IDENTITY_LABEL, MANAGED_BY, MANAGED_BY_LABEL
from tests.support.network_policies import Endpoint, Network

OPERATOR = {"app.kubernetes.io/name": "compression-operator", "app.kubernetes.io/component": "operator"}
RUNNER = Endpoint("10.244.0.20", "team-a", {MANAGED_BY_LABEL: MANAGED_BY})
WITH_IDENTITY = Endpoint("10.244.0.21", "team-a", {MANAGED_BY_LABEL: MANAGED_BY, AMBIENT_IDENTITY_LABEL: "true"})
OPERATOR_POD = Endpoint("10.244.0.2", "system", OPERATOR)
PROMETHEUS = Endpoint("10.244.0.3", "monitoring", {"app": "prometheus"})
MINIO = Endpoint("10.244.0.4", "stores", {"app": "minio"})
NEIGHBOUR = Endpoint("10.244.0.5", "team-a", {"app": "notebook"})
INTERNET = Endpoint("198.51.100.7")
INTERNET6 = Endpoint("2001:db8::7")
METADATA = [Endpoint(ip) for ip in ("169.254.169.254", "169.254.170.23", "fd00:ec2::254")]
NAMESPACES: dict[str, dict[str, str]] = {"team-a": {}, "system": {}, "monitoring": {}, "stores": {}}


def network(
    *,
    blocks_match_pods: bool = True,
    metrics_from: tuple[Any, ...] = (),
    stores: list[str] | None = None,
    **egress: Any,
) -> Network:
    settings = NetworkSettings.model_validate(
        {
            "name": "runners",
            "operator": {"namespace": "system", "podLabels": OPERATOR},
            "metricsFrom": list(metrics_from),
            "egress": egress,
        }
    )
    policies = runner_policies(settings, "team-a", stores)
    assert set(policies) <= set(policy_names(settings))
    return Network(list(policies.values()), NAMESPACES, blocks_match_pods)


@pytest.mark.parametrize("mode", ["Open", "Restricted"])
def test_only_the_operator_and_readers_of_metrics_reach_a_runner(mode: str) -> None:
    reader = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    alone, read = network(mode=mode), network(mode=mode, metrics_from=(reader,))
    for runner in (RUNNER, WITH_IDENTITY):
        assert alone.allows(OPERATOR_POD, runner, 8080)
        assert not alone.allows(OPERATOR_POD, runner, 22)
        assert not alone.allows(PROMETHEUS, runner, 8080)
        assert read.allows(PROMETHEUS, runner, 8080)
        for stranger in (NEIGHBOUR, MINIO, INTERNET, Endpoint("10.244.0.9", "team-a", OPERATOR)):
            assert not read.allows(stranger, runner, 8080)


@pytest.mark.parametrize("blocks_match_pods", [True, False])
def test_open_egress_closes_the_metadata_addresses_alone(blocks_match_pods: bool) -> None:
    runners = network(blocks_match_pods=blocks_match_pods)
    for target in (MINIO, NEIGHBOUR, INTERNET, INTERNET6, Endpoint("169.254.20.10")):
        assert runners.allows(RUNNER, target, 9000)
        assert runners.allows(WITH_IDENTITY, target, 9000)
    for target in METADATA:
        assert not runners.allows(RUNNER, target, 80)
        assert runners.allows(WITH_IDENTITY, target, 80)
        assert runners.allows(RUNNER, target, 53, "UDP")  # some clouds' resolver has the same address


@pytest.mark.parametrize("blocks_match_pods", [True, False])
def test_restricted_egress_opens_dns_and_the_listed_peers_alone(blocks_match_pods: bool) -> None:
    store = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "minio"}}}
    block = {"ipBlock": {"cidr": "198.51.100.0/24", "except": ["198.51.100.128/25"]}}
    runners = network(mode="Restricted", to=[store, block], ports=[9000, 443], blocks_match_pods=blocks_match_pods)
    assert runners.allows(RUNNER, MINIO, 9000)
    assert runners.allows(RUNNER, INTERNET, 443)
    assert not runners.allows(RUNNER, INTERNET, 80)
    assert not runners.allows(RUNNER, Endpoint("198.51.100.200"), 443)
    for target in (NEIGHBOUR, INTERNET6, Endpoint("192.0.2.1"), *METADATA):
        assert not runners.allows(RUNNER, target, 443)
        assert runners.allows(RUNNER, target, 53)
    assert runners.allows(WITH_IDENTITY, METADATA[0], 80)
    assert not runners.allows(WITH_IDENTITY, Endpoint("192.0.2.1"), 443)


def test_restricted_without_peers_leaves_dns() -> None:
    runners = network(mode="Restricted")
    assert runners.allows(RUNNER, INTERNET, 53)
    assert not runners.allows(RUNNER, MINIO, 9000)


def test_a_wide_block_among_the_peers_leaves_the_metadata_addresses_closed() -> None:
    runners = network(mode="Restricted", to=[{"ipBlock": {"cidr": "169.0.0.0/8"}}, {"ipBlock": {"cidr": "fd00::/8"}}])
    assert runners.allows(RUNNER, Endpoint("169.1.2.3"), 443)
    assert runners.allows(RUNNER, Endpoint("fd00::1"), 443)
    for target in METADATA:
        assert not runners.allows(RUNNER, target, 80)


def test_dns_may_be_bound_to_its_servers() -> None:
    servers = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    runners = network(mode="Restricted", dns=[servers])
    assert runners.allows(RUNNER, Endpoint("10.244.0.6", "kube-system", {"k8s-app": "kube-dns"}), 53, "UDP")
    assert not runners.allows(RUNNER, INTERNET, 53, "UDP")


def test_without_metadata_addresses_nothing_is_closed_and_no_second_policy_is_needed() -> None:
    runners = network(metadataAddresses=[])
    assert [policy["metadata"]["name"] for policy in runners.policies] == ["runners"]
    assert runners.allows(RUNNER, METADATA[0], 80)


def test_policies_are_about_runners_alone() -> None:
    runners = network(mode="Restricted")
    assert runners.allows(INTERNET, NEIGHBOUR, 80)
    assert runners.allows(NEIGHBOUR, METADATA[0], 80)


IN_CLUSTER = "http://minio.stores.svc:9000"
BY_ADDRESS = "https://198.51.100.7:9443"


@pytest.mark.parametrize("blocks_match_pods", [True, False])
def test_auto_opens_the_endpoints_of_stores_alone_where_all_are_known(blocks_match_pods: bool) -> None:
    runners = network(stores=[IN_CLUSTER, BY_ADDRESS], blocks_match_pods=blocks_match_pods)
    for runner in (RUNNER, WITH_IDENTITY):
        assert runners.allows(runner, MINIO, 9000)
        assert runners.allows(runner, INTERNET, 9443)
        assert runners.allows(runner, INTERNET, 53)
        assert not runners.allows(runner, INTERNET, 443)
        for target in (NEIGHBOUR, Endpoint("192.0.2.1"), INTERNET6):
            assert not runners.allows(runner, target, 9000)
    assert not runners.allows(RUNNER, METADATA[0], 80)
    assert runners.allows(WITH_IDENTITY, METADATA[0], 80)


@pytest.mark.parametrize("stores", [None, [""], [IN_CLUSTER, "https://s3.example.com"]])
def test_auto_is_open_without_stores_and_where_one_endpoint_is_a_public_name(stores: list[str] | None) -> None:
    runners = network(stores=stores)
    assert runners.allows(RUNNER, INTERNET, 443)
    assert not runners.allows(RUNNER, METADATA[0], 80)


def test_restricted_opens_the_known_stores_beside_its_peers() -> None:
    runners = network(mode="Restricted", to=[{"ipBlock": {"cidr": "192.0.2.0/24"}}], stores=[IN_CLUSTER, ""])
    assert runners.allows(RUNNER, MINIO, 9000)
    assert runners.allows(RUNNER, Endpoint("192.0.2.1"), 443)
    assert not runners.allows(RUNNER, INTERNET, 443)


def test_stores_on_volumes_alone_need_no_network_but_dns() -> None:
    runners = network(stores=[])
    assert runners.allows(RUNNER, INTERNET, 53)
    assert not runners.allows(RUNNER, MINIO, 9000)


@pytest.mark.parametrize(
    ("endpoint", "opened"),
    [
        ("http://minio:9000", NEIGHBOUR),  # a Service of the same namespace
        ("http://minio.stores.svc.cluster.local", MINIO),
        ("http://[2001:db8::7]:9000", INTERNET6),
        ("http://203.0.113.1:9000", Endpoint("203.0.113.1")),
    ],
)
def test_egress_rule_of_an_endpoint(endpoint: str, opened: Endpoint) -> None:
    runners = network(stores=[endpoint])
    reached = {it for it in (NEIGHBOUR, MINIO, INTERNET, INTERNET6, opened) if runners.allows(RUNNER, it, 9000)}
    assert reached == {opened}


@pytest.mark.parametrize(
    "endpoint", ["", "https://s3.example.com", "minio.stores", "http://minio.stores:9000", "http://a:x"]
)
def test_endpoint_without_an_egress_rule(endpoint: str) -> None:
    assert egress_rule(endpoint) is None
