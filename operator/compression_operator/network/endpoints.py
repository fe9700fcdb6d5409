"""Egress rules for the URLs of stores: a NetworkPolicy knows addresses and pods, but no host names."""

import ipaddress
import re
from typing import Any, Final
from urllib.parse import urlsplit

NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
"""The label that Kubernetes sets on each namespace, with the namespace's name as its value."""

_PORTS: Final = {"http": 80, "https": 443}
_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_SERVICE: Final = re.compile(rf"{_LABEL}(?:\.({_LABEL})\.svc(?:\.cluster\.local)?)?\.?")
"""SERVICE in the pod's own namespace, or SERVICE.NAMESPACE.svc."""


def egress_rule(endpoint: str) -> dict[str, Any] | None:
    """Return the egress rule for an endpoint; None if a policy cannot name it.

    An address is allowed on its port. The pods of a Service and their ports are unknown, so all pods of its namespace
    are allowed.
    """
    try:
        url = urlsplit(endpoint)
        host, port = url.hostname, url.port or _PORTS.get(url.scheme)
    except ValueError:
        return None
    if not host or port is None:
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _service(host)
    block = f"{address}/{address.max_prefixlen}"
    return {"to": [{"ipBlock": {"cidr": block}}], "ports": [{"port": port, "protocol": "TCP"}]}


def _service(host: str) -> dict[str, Any] | None:
    match = _SERVICE.fullmatch(host)
    if match is None:
        return None
    namespace = match[1]
    if namespace is None:
        return {"to": [{"podSelector": {}}]}
    return {"to": [{"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: namespace}}}]}
