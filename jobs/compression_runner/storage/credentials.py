"""Credentials by role: the model, the data and the output may each lie with another owner."""

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """Whose credentials a store uses; the prefix of the environment's names."""

    MODEL = "MODEL"
    DATA = "DATA"
    OUTPUT = "OUTPUT"


def credentials(environment: Mapping[str, str], role: Role) -> dict[str, str]:
    """boto3's credential arguments of a role; empty where its own chain (AWS_*, web identity) shall be used."""
    names = {
        "aws_access_key_id": f"{role}_AWS_ACCESS_KEY_ID",
        "aws_secret_access_key": f"{role}_AWS_SECRET_ACCESS_KEY",
        "aws_session_token": f"{role}_AWS_SESSION_TOKEN",
    }
    return {argument: environment[name] for argument, name in names.items() if environment.get(name)}


def hub_token(environment: Mapping[str, str], endpoint: str | None) -> str | None:
    """The token for the Hugging Face Hub: the job's own, from the Secret that it names.

    HF_TOKEN, as the Hub's own tools have it, goes to the Hub alone, not to a server that a manifest names.
    """
    ambient = environment.get("HF_TOKEN") if endpoint is None else None
    return environment.get("HUB_HF_TOKEN") or ambient or None
