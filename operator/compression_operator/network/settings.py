"""Settings of the NetworkPolicies for the runners' pods: the file of ``--network-policy``.

The chart writes it from ``networkPolicy`` in its values.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from compressionjob.errors import FieldProblem, InvalidSpec, problems_of
from compressionjob.field_types import Label, ObjectName, Schema

METADATA_ADDRESSES: Final = (
    "169.254.169.254/32",
    "169.254.169.252/32",
    "169.254.170.23/32",
    "100.100.100.200/32",
    "fd00:ec2::254/128",
    "fd00:ec2::23/128",
)
"""Addresses at which clouds serve credentials to pods: instance metadata (AWS, Google Cloud, Azure and others; the
second address of GKE; Alibaba Cloud), and the agent of EKS Pod Identity."""

_PEER_TEXT: Final = "name ipBlock alone, or podSelector and namespaceSelector"
_CIDR_TEXT: Final = "must be an address block such as 10.0.0.0/8 or fd00::/8"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Port = Annotated[int, Field(ge=1, le=65535)]


def network_of(cidr: str) -> Network:
    """Parse an address block in CIDR notation; raise ValueError if it is malformed."""
    try:
        return ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        raise ValueError(_CIDR_TEXT) from None


class IPBlock(Schema):
    """Addresses, as in a NetworkPolicyPeer."""

    cidr: Annotated[str, Field(max_length=64)]
    excluded: Annotated[list[str], Field(alias="except", max_length=128)] = []

    @field_validator("cidr")
    @classmethod
    def _is_block(cls, cidr: str) -> str:
        network_of(cidr)
        return cidr


class Peer(Schema):
    """A NetworkPolicyPeer. The selectors are Kubernetes' own; the API server checks them."""

    ip_block: IPBlock | None = None
    namespace_selector: dict[str, Any] | None = None
    pod_selector: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Peer":
        selects = self.namespace_selector is not None or self.pod_selector is not None
        if selects == (self.ip_block is not None):
            raise ValueError(_PEER_TEXT)
        return self


Peers = Annotated[list[Peer], Field(max_length=64)]


class OperatorPods(Schema):
    """Selectors of the operator's pods, for a policy in another namespace."""

    namespace: Label
    pod_labels: Annotated[dict[str, str], Field(min_length=1)]


class Egress(Schema):
    """Allowed egress of the runners' pods.

    Open: everything except ``metadata_addresses``. Restricted: ``dns``, ``to``, and those endpoints of the namespace's
    stores that a policy can name. Auto: Restricted if there are stores and all their endpoints can be named, else Open.
    """

    mode: Literal["Auto", "Open", "Restricted"] = "Auto"
    to: Peers = []
    ports: Annotated[list[Port], Field(max_length=64)] = []
    dns: Peers = []
    metadata_addresses: Annotated[list[str], Field(max_length=32)] = list(METADATA_ADDRESSES)

    @field_validator("metadata_addresses")
    @classmethod
    def _are_blocks(cls, addresses: list[str]) -> list[str]:
        for address in addresses:
            network_of(address)
        return addresses


class NetworkSettings(Schema):
    """Names, labels and peers of the policies that the operator manages."""

    name: ObjectName
    labels: dict[str, str] = {}
    operator: OperatorPods
    metrics_from: Peers = []
    egress: Egress = Egress()


def read_settings(path: Path | None) -> NetworkSettings | None:
    """Read the file of ``--network-policy``; without a file the operator manages no policies.

    Raises InvalidSpec, which names each invalid field, its value and the remedy.
    """
    if path is None:
        return None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise _unusable(path, f"cannot be read ({why}); mount it, or leave --network-policy out") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
        raise _unusable(path, f"is not YAML{where}; correct it") from error
    try:
        return NetworkSettings.model_validate(content)
    except ValidationError as error:
        raise InvalidSpec(problems_of(error, "networkPolicy", NetworkSettings)) from None


def _unusable(path: Path, remedy: str) -> InvalidSpec:
    return InvalidSpec([FieldProblem("--network-policy", str(path), remedy)])
