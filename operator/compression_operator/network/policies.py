"""Manifests of the runners' NetworkPolicies: ingress to the pods, and egress from them.

Policies are additive. So the policy of all runners excludes the metadata addresses, and a second policy allows them
for pods that have a cloud identity.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from compression_operator.network.endpoints import NAMESPACE_LABEL, egress_rule
from compression_operator.network.settings import Egress, NetworkSettings, Peer, network_of
from compressionjob.group import AMBIENT_IDENTITY_LABEL, MANAGED_BY, MANAGED_BY_LABEL
from compressionjob.pod_interface import PORT

API_VERSION: Final = "networking.k8s.io/v1"
EVERYWHERE: Final = ("0.0.0.0/0", "::/0")
DNS_PORT: Final = 53

Manifest = dict[str, Any]
Rule = dict[str, Any]


def policy_names(settings: NetworkSettings) -> tuple[str, str]:
    """Return the names of the policies: for all runners, and for those with a cloud identity."""
    return settings.name, f"{settings.name}-identity"


def runner_policies(
    settings: NetworkSettings, namespace: str, endpoints: Sequence[str] | None = None, begun: Sequence[str] = ()
) -> dict[str, Manifest]:
    """Return the policies of a namespace with runners, by name.

    ``endpoints`` are the URLs of its stores, "" for a public service; None if it has no stores. ``begun`` are those
    that jobs began with and keep, even if the stores have other endpoints now.
    """
    runners, identity = policy_names(settings)
    egress = settings.egress
    manifests = {
        runners: _manifest(
            settings,
            namespace,
            runners,
            {
                "podSelector": {"matchLabels": {MANAGED_BY_LABEL: MANAGED_BY}},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [_ingress(settings)],
                "egress": [_dns(egress), *_destinations(egress, endpoints, begun)],
            },
        )
    }
    if egress.metadata_addresses:
        manifests[identity] = _manifest(
            settings,
            namespace,
            identity,
            {
                "podSelector": {"matchLabels": {MANAGED_BY_LABEL: MANAGED_BY, AMBIENT_IDENTITY_LABEL: "true"}},
                "policyTypes": ["Egress"],
                "egress": [{"to": [{"ipBlock": {"cidr": cidr}} for cidr in egress.metadata_addresses]}],
            },
        )
    return manifests


def _manifest(settings: NetworkSettings, namespace: str, name: str, spec: dict[str, Any]) -> Manifest:
    labels = {**settings.labels, MANAGED_BY_LABEL: MANAGED_BY}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": API_VERSION, "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _ingress(settings: NetworkSettings) -> Rule:
    """Return the ingress rule: only the operator, and the peers that may read metrics."""
    operator = {
        "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: settings.operator.namespace}},
        "podSelector": {"matchLabels": dict(settings.operator.pod_labels)},
    }
    readers = [peer.to_json() for peer in settings.metrics_from]
    return {"from": [operator, *readers], "ports": _ports([PORT])}


def _dns(egress: Egress) -> Rule:
    rule: Rule = {"ports": [*_ports([DNS_PORT], "UDP"), *_ports([DNS_PORT])]}
    return rule | ({"to": _peers(egress.dns)} if egress.dns else {})


def _destinations(egress: Egress, endpoints: Sequence[str] | None, begun: Sequence[str]) -> list[Rule]:
    # In a steady order: other content would be applied anew.
    rules = [egress_rule(endpoint) for endpoint in sorted({*(endpoints or ()), *begun})]
    stores = [rule for rule in rules if rule is not None]
    all_known = endpoints is not None and len(stores) == len(rules)
    if egress.mode == "Open" or (egress.mode == "Auto" and not all_known):
        # Some network plugins match pods by selectors only, never by their addresses.
        everything = [_block(cidr, (), egress.metadata_addresses) for cidr in EVERYWHERE]
        return [{"to": [*everything, {"namespaceSelector": {}}]}]
    if not egress.to:
        return stores
    rule: Rule = {"to": _peers(egress.to, egress.metadata_addresses)}
    return [rule | ({"ports": _ports(egress.ports)} if egress.ports else {}), *stores]


def _peers(peers: Iterable[Peer], closed: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return peers in the form of a NetworkPolicy; address blocks exclude the ``closed`` addresses."""
    return [
        peer.to_json() if peer.ip_block is None else _block(peer.ip_block.cidr, peer.ip_block.excluded, closed)
        for peer in peers
    ]


def _block(cidr: str, excluded: Iterable[str], closed: Iterable[str]) -> dict[str, Any]:
    block = network_of(cidr)
    inside = [other for other in closed if network_of(other) != block and _contains(cidr, other)]
    left_out = list(dict.fromkeys([*excluded, *inside]))
    return {"ipBlock": {"cidr": cidr} | ({"except": left_out} if left_out else {})}


def _contains(outer: str, inner: str) -> bool:
    one, other = network_of(outer), network_of(inner)
    return one.version == other.version and other.subnet_of(one)  # type: ignore[arg-type]


def _ports(numbers: Iterable[int], protocol: str = "TCP") -> list[dict[str, Any]]:
    return [{"port": number, "protocol": protocol} for number in numbers]
