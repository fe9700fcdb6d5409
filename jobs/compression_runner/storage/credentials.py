"""Credentials by role: the model, the data and the output may each lie with another owner."""

from collections.abc import Mapping

from compressionjob.pod import (
    ACCESS_KEY_ID,
    HUB_TOKEN_KEY,
    HUB_TOKEN_VARIABLE,
    SECRET_ACCESS_KEY,
    SESSION_TOKEN,
    Role,
    credential_variable,
)


def credentials(environment: Mapping[str, str], role: Role) -> dict[str, str]:
    """boto3's credential arguments of a role; empty where its own chain (AWS_*, web identity) shall be used."""
    names = {
        "aws_access_key_id": ACCESS_KEY_ID,
        "aws_secret_access_key": SECRET_ACCESS_KEY,
        "aws_session_token": SESSION_TOKEN,
    }
    given = {argument: environment.get(credential_variable(role, key)) for argument, key in names.items()}
    return {argument: value for argument, value in given.items() if value}


def hub_token(environment: Mapping[str, str], endpoint: str | None) -> str | None:
    """The token for the Hugging Face Hub: the job's own, from the Secret that it names.

    HF_TOKEN, as the Hub's own tools have it, goes to the Hub alone, not to a server that a manifest names.
    """
    ambient = environment.get(HUB_TOKEN_KEY) if endpoint is None else None
    return environment.get(HUB_TOKEN_VARIABLE) or ambient or None
