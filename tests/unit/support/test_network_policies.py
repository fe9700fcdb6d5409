"""The tests' evaluator of NetworkPolicies agrees with the examples and rules of the specification.

https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from typing import Any

import pytest
import yaml

from tests.support.network_policies import Endpoint, Network

# The example in the page's second chapter.
EXAMPLE = """
metadata: {name: test-network-policy, namespace: default}
spec:
  podSelector: {matchLabels: {role: db}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}
    - namespaceSelector: {matchLabels: {project: myproject}}
    - podSelector: {matchLabels: {role: frontend}}
    ports: [{protocol: TCP, port: 6379}]
  egress:
  - to: [{ipBlock: {cidr: 10.0.0.0/24}}]
    ports: [{protocol: TCP, port: 5978}]
"""
NAMESPACES = {"default": {}, "mine": {"project": "myproject"}, "other": {}}


def pod(namespace: str, ip: str = "10.244.0.9", **labels: str) -> Endpoint:
    return Endpoint(ip, namespace, labels)


DB = pod("default", role="db")
WORLD = Endpoint("203.0.113.7")


def network(*policies: str, **more: Any) -> Network:
    return Network([yaml.safe_load(policy) for policy in policies], NAMESPACES, **more)


def policy(spec: str) -> str:
    return f"metadata: {{name: p, namespace: default}}\nspec: {spec}"


@pytest.mark.parametrize(
    ("source", "port", "allowed"),
    [
        (pod("default", role="frontend"), 6379, True),
        (pod("mine"), 6379, True),
        (Endpoint("172.17.0.1"), 6379, True),
        (Endpoint("172.17.2.255"), 6379, True),
        (Endpoint("172.17.1.5"), 6379, False),
        (Endpoint("172.18.0.1"), 6379, False),
        (pod("default", role="backend"), 6379, False),
        (pod("other", role="frontend"), 6379, False),
        (pod("default", role="frontend"), 6380, False),
    ],
)
def test_sources_that_reach_the_database_of_the_example(source: Endpoint, port: int, allowed: bool) -> None:
    assert network(EXAMPLE).allows(source, DB, port) is allowed


def test_targets_of_the_database_of_the_example() -> None:
    example = network(EXAMPLE)
    assert example.allows(DB, Endpoint("10.0.0.8"), 5978)
    assert not example.allows(DB, Endpoint("10.0.1.8"), 5978)
    assert not example.allows(DB, Endpoint("10.0.0.8"), 5979)
    assert not example.allows(DB, Endpoint("10.0.0.8"), 5978, "UDP")


def test_without_a_policy_all_is_allowed_and_a_policy_affects_only_selected_pods() -> None:
    assert network().allows(WORLD, DB, 1)
    example = network(EXAMPLE)
    assert example.allows(WORLD, pod("default", role="web"), 1)
    assert example.allows(WORLD, pod("other", role="db"), 1)  # of another namespace
    assert example.isolating(DB, "Egress") == ["test-network-policy"]
    assert example.isolating(pod("default", role="web"), "Egress") == []


@pytest.mark.parametrize(
    ("spec", "into", "out"),
    [
        ("{podSelector: {}, policyTypes: [Ingress]}", False, True),  # default deny all ingress traffic
        ("{podSelector: {}, ingress: [{}], policyTypes: [Ingress]}", True, True),  # allow all ingress traffic
        ("{podSelector: {}, policyTypes: [Egress]}", True, False),  # default deny all egress traffic
        ("{podSelector: {}, egress: [{}], policyTypes: [Egress]}", True, True),  # allow all egress traffic
        ("{podSelector: {}, policyTypes: [Ingress, Egress]}", False, False),  # default deny all
        ("{podSelector: {}}", False, True),  # policyTypes: Ingress is always set,
        ("{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}", False, False),  # Egress if there are egress rules
    ],
)
def test_default_policies(spec: str, into: bool, out: bool) -> None:
    checked = network(policy(spec))
    assert (checked.allows(WORLD, DB, 80), checked.allows(DB, WORLD, 80)) == (into, out)


def test_policies_add_up_and_both_sides_must_allow() -> None:
    deny = policy("{podSelector: {}, policyTypes: [Ingress, Egress]}")
    out = policy("{podSelector: {matchLabels: {role: web}}, policyTypes: [Egress], egress: [{}]}")
    into = policy("{podSelector: {matchLabels: {role: db}}, policyTypes: [Ingress], ingress: [{}]}")
    web = pod("default", "10.244.0.8", role="web")
    assert not network(deny, out).allows(web, DB, 80)
    assert not network(deny, into).allows(web, DB, 80)
    assert network(deny, out, into).allows(web, DB, 80)


def test_selectors_in_one_peer_are_combined_by_and_peers_by_or() -> None:
    selectors = "namespaceSelector: {matchLabels: {project: myproject}}", "podSelector: {matchLabels: {role: client}}"
    both = network(policy(f"{{podSelector: {{}}, ingress: [{{from: [{{{selectors[0]}, {selectors[1]}}}]}}]}}"))
    either = network(policy(f"{{podSelector: {{}}, ingress: [{{from: [{{{selectors[0]}}}, {{{selectors[1]}}}]}}]}}"))
    assert both.allows(pod("mine", role="client"), DB, 1)
    assert not both.allows(pod("mine"), DB, 1)
    assert not both.allows(pod("default", role="client"), DB, 1)
    assert either.allows(pod("mine"), DB, 1)
    assert either.allows(pod("default", role="client"), DB, 1)
    assert not either.allows(pod("other", role="client"), DB, 1)


def test_an_empty_namespace_selector_matches_all_pods_but_no_external_address() -> None:
    every = network(policy("{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"))
    assert every.allows(pod("other"), DB, 1)
    assert not every.allows(WORLD, DB, 1)


def test_a_namespace_is_selected_by_its_name() -> None:
    named = "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: mine}}}"
    checked = network(policy(f"{{podSelector: {{}}, ingress: [{{from: [{named}]}}]}}"))
    assert checked.allows(pod("mine"), DB, 1)
    assert not checked.allows(pod("other"), DB, 1)


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("{key: role, operator: In, values: [a, b]}", {"a"}),
        ("{key: role, operator: NotIn, values: [a]}", {"c", ""}),
        ("{key: role, operator: Exists}", {"a", "c"}),
        ("{key: role, operator: DoesNotExist}", {""}),
    ],
)
def test_expressions(expression: str, allowed: set[str]) -> None:
    peer = f"{{podSelector: {{matchExpressions: [{expression}]}}}}"
    checked = network(policy(f"{{podSelector: {{}}, ingress: [{{from: [{peer}]}}]}}"))
    roles: dict[str, dict[str, str]] = {"a": {"role": "a"}, "c": {"role": "c"}, "": {}}
    assert {
        role for role, labels in roles.items() if checked.allows(pod("default", "10.1.1.1", **labels), DB, 1)
    } == allowed


@pytest.mark.parametrize(
    ("ports", "port", "protocol", "allowed"),
    [
        ("[{protocol: TCP, port: 32000, endPort: 32768}]", 32500, "TCP", True),
        ("[{protocol: TCP, port: 32000, endPort: 32768}]", 32769, "TCP", False),
        ("[{protocol: UDP}]", 7, "UDP", True),
        ("[{protocol: UDP}]", 7, "TCP", False),
        ("[{port: 80}]", 80, "TCP", True),  # TCP when a port names no protocol
        ("[{port: metrics}]", 8443, "TCP", True),
        ("[{port: metrics}]", 8443, "UDP", False),
        ("[{port: metrics}]", 8080, "TCP", False),
        ("[{port: 80}, {port: 81}]", 81, "TCP", True),
        ("[]", 9, "SCTP", True),  # no ports: all of them
    ],
)
def test_ports(ports: str, port: int, protocol: str, allowed: bool) -> None:
    target = Endpoint("10.244.0.5", "default", ports={"metrics": (8443, "TCP")})
    checked = network(policy(f"{{podSelector: {{}}, ingress: [{{ports: {ports}}}]}}"))
    assert checked.allows(WORLD, target, port, protocol) is allowed


def test_a_pod_can_always_connect_to_itself() -> None:
    assert network(policy("{podSelector: {}, policyTypes: [Ingress, Egress]}")).allows(DB, DB, 80)


def test_ip_blocks_that_contain_pods_depend_on_the_plugin() -> None:
    block = policy("{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}")
    assert network(block).allows(DB, pod("other", "10.244.0.3"), 1)
    assert not network(block, blocks_match_pods=False).allows(DB, pod("other", "10.244.0.3"), 1)
    assert network(block, blocks_match_pods=False).allows(DB, WORLD, 1)
    assert not network(block).allows(DB, Endpoint("2001:db8::1"), 1)
