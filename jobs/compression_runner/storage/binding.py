"""Bind keys and tokens to an endpoint: they are never sent to another one, even if a job names it."""

import json
from collections.abc import Mapping
from typing import Final

from pydantic import TypeAdapter, ValidationError

from compression_runner.errors import InvalidInput
from compressionjob.endpoints import HUB, is_aws_s3, same_endpoint
from compressionjob.locations import Hub, Storage
from compressionjob.pod_interface import (
    ACCESS_KEY_ID,
    ENDPOINT_URL,
    HUB_ENDPOINT_KEY,
    HUB_ENDPOINT_VARIABLE,
    HUB_TOKEN_KEY,
    HUB_TOKEN_VARIABLE,
    SESSION_TOKEN,
    STORES_VARIABLE,
    Role,
    credential_variable,
)
from compressionjob.stores import StoreConnection

AWS: Final = "AWS"
_CONNECTIONS: Final = TypeAdapter(list[StoreConnection])


def connection(environment: Mapping[str, str], store: str, field: str) -> StoreConnection:
    """Return the connection of a CompressionStore from the operator. Raises InvalidInput if it is missing."""
    try:
        known = _CONNECTIONS.validate_json(environment.get(STORES_VARIABLE, "[]"))
    except ValidationError:
        known = []
    match = next((item for item in known if item.name == store), None)
    if match is None:
        problem = "the pod did not get the address of this CompressionStore"
        remedy = "upgrade the operator; in a local run write secretName and endpoint instead of store"
        raise InvalidInput("StoreUnknown", field, store, problem, remedy)
    return match


def bound_storage(
    environment: Mapping[str, str], storage: Storage, role: Role, field: str, namespace: str = ""
) -> Storage:
    """Return the storage settings of a location, including those of its store.

    Raises InvalidInput if the Secret's keys are for another endpoint.
    """
    if storage.store is not None:
        return connection(environment, storage.store, field).storage
    bound = environment.get(credential_variable(role, ENDPOINT_URL))
    token = environment.get(credential_variable(role, SESSION_TOKEN))
    if not environment.get(credential_variable(role, ACCESS_KEY_ID)) or (bound is None and not token):
        return storage
    if not _is_for(bound or "", storage.endpoint):
        what = "the session token" if bound is None else "the keys"
        verb = "is" if bound is None else "are"
        problem = f"{what} in the Secret {storage.secret_name!r} {verb} for {bound or 'AWS'} only"
        raise InvalidInput(
            "EndpointNotBound",
            field,
            storage.endpoint or AWS,
            problem,
            f"name that endpoint, or: {_patch(namespace, storage.secret_name, ENDPOINT_URL, storage.endpoint)}",
        )
    return storage


def _is_for(bound: str, endpoint: str | None) -> bool:
    """Return whether keys may be sent to an endpoint; keys without a bound address are for AWS."""
    if not bound:
        return endpoint is None or is_aws_s3(endpoint)
    return endpoint is not None and same_endpoint(bound, endpoint)


def bound_hub(environment: Mapping[str, str], hub: Hub, field: str, namespace: str = "") -> tuple[Hub, str | None]:
    """Return the Hub's settings, and the token to send to it.

    The token of a job goes to the address in its store or its Secret, or by default to huggingface.co. HF_TOKEN, which
    the Hub's own tools use, never goes to a server that a manifest names. Raises InvalidInput if the job's token is for
    another address.
    """
    token = environment.get(HUB_TOKEN_VARIABLE) or None
    if hub.store is not None:
        return connection(environment, hub.store, field).hub, token
    if token is None:
        return hub, (environment.get(HUB_TOKEN_KEY) or None) if hub.endpoint is None else None
    # The platform team sets a mirror in the environment of the runtime.
    address = hub.endpoint or environment.get(HUB_ENDPOINT_KEY) or HUB
    bound = environment.get(HUB_ENDPOINT_VARIABLE) or (address if hub.endpoint is None else HUB)
    if same_endpoint(bound, address):
        return hub, token
    problem = f"the token in the Secret {hub.secret_name!r} is for {bound} only"
    remedy = f"name that endpoint, or: {_patch(namespace, hub.secret_name, HUB_ENDPOINT_KEY, address)}"
    raise InvalidInput("EndpointNotBound", "spec.hub.endpoint", address, problem, remedy)


def _patch(namespace: str, secret: str | None, key: str, endpoint: str | None) -> str:
    """Return the command that binds a Secret to an endpoint; "" binds it to AWS."""
    patch = json.dumps({"stringData": {key: endpoint or ""}}, separators=(",", ":"))
    place = f" -n {namespace}" if namespace else ""
    return f"kubectl{place} patch secret {secret} --type=merge --patch='{patch}'"
