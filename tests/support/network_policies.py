"""Evaluation of NetworkPolicies by their specification.

Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/. Policies are as the API server
returns them. Traffic of a pod's own node and of pods on the host's network is not modelled, since plugins differ.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

NAME_LABEL: Final = "kubernetes.io/metadata.name"

Policy = Mapping[str, Any]
Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """One end of a connection: a pod, or without a namespace an address outside the cluster.

    ``ports`` are the named ports of the pod's containers: name to number and protocol.
    """

    ip: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    ports: Mapping[str, tuple[int, str]] = field(default_factory=dict, hash=False)

    @classmethod
    def of_pod(cls, manifest: Mapping[str, Any], namespace: str, ip: str) -> "Endpoint":
        """Return the pod of a Pod manifest, or of the template of a Job or Deployment."""
        containers = manifest["spec"]["containers"]
        ports = [port for container in containers for port in container.get("ports", []) if "name" in port]
        named = {port["name"]: (port["containerPort"], port.get("protocol", "TCP")) for port in ports}
        return cls(ip, namespace, manifest["metadata"].get("labels", {}), named)


@dataclass(frozen=True)
class Network:
    """A cluster's policies and the labels of its namespaces.

    ``blocks_match_pods``: whether an ipBlock selects pods by their addresses. The specification does not define it: it
    does in Calico, but not in Cilium.
    """

    policies: Sequence[Policy]
    namespaces: Mapping[str, Mapping[str, str]]
    blocks_match_pods: bool = True

    def allows(self, source: Endpoint, target: Endpoint, port: int, protocol: str = "TCP") -> bool:
        """Return whether both sides allow a connection."""
        if source == target and source.namespace:
            return True  # a pod can always connect to itself
        way_out = self._passes("Egress", source, target, target, port, protocol)
        return way_out and self._passes("Ingress", target, source, target, port, protocol)

    def isolating(self, pod: Endpoint, direction: str) -> list[str]:
        """Return the names of the policies that isolate a pod in a direction, Ingress or Egress."""
        return [policy["metadata"]["name"] for policy in self._about(pod, direction)]

    def _about(self, pod: Endpoint, direction: str) -> Iterable[Policy]:
        for policy in self.policies:
            here = pod.namespace == policy["metadata"]["namespace"]
            if here and selects(policy["spec"].get("podSelector", {}), pod.labels) and direction in _types(policy):
                yield policy

    def _passes(
        self, direction: str, pod: Endpoint, other: Endpoint, target: Endpoint, port: int, protocol: str
    ) -> bool:
        policies = list(self._about(pod, direction))
        return not policies or any(
            self._matches(rule, policy, direction, other) and _opens(rule.get("ports"), target, port, protocol)
            for policy in policies
            for rule in policy["spec"].get(direction.lower()) or []
        )

    def _matches(self, rule: Rule, policy: Policy, direction: str, other: Endpoint) -> bool:
        peers = rule.get("from" if direction == "Ingress" else "to")
        home = policy["metadata"]["namespace"]
        return not peers or any(self._is_peer(peer, home, other) for peer in peers)

    def _is_peer(self, peer: Mapping[str, Any], home: str, other: Endpoint) -> bool:
        if "ipBlock" in peer:
            return (self.blocks_match_pods or not other.namespace) and _inside(peer["ipBlock"], other.ip)
        if not other.namespace:
            return False
        by_namespace = peer.get("namespaceSelector")
        if by_namespace is None:
            in_namespace = other.namespace == home
        else:
            labels = {NAME_LABEL: other.namespace, **self.namespaces.get(other.namespace, {})}
            in_namespace = selects(by_namespace, labels)
        return in_namespace and selects(peer.get("podSelector") or {}, other.labels)


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a label selector matches labels. An empty selector matches all."""
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(
        _satisfied(expression, labels) for expression in selector.get("matchExpressions") or []
    )


def _satisfied(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, operator, values = labels.get(expression["key"]), expression["operator"], expression.get("values", [])
    results = {
        "In": value is not None and value in values,
        "NotIn": value is None or value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return results[operator]


def _types(policy: Policy) -> Sequence[str]:
    """Return the directions that a policy isolates: by default Ingress, and Egress if it has egress rules."""
    spec = policy["spec"]
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _inside(block: Mapping[str, Any], ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    return address in ipaddress.ip_network(block["cidr"]) and not any(
        address in ipaddress.ip_network(left_out) for left_out in block.get("except") or []
    )


def _opens(ports: Sequence[Mapping[str, Any]] | None, target: Endpoint, port: int, protocol: str) -> bool:
    return not ports or any(
        entry.get("protocol", "TCP") == protocol and _has(entry, target, port, protocol) for entry in ports
    )


def _has(entry: Mapping[str, Any], target: Endpoint, port: int, protocol: str) -> bool:
    wanted = entry.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return target.ports.get(wanted) == (port, protocol)
    return bool(wanted <= port <= entry.get("endPort", wanted))
