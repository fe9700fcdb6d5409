"""Credentials by role: the model, the data and the output may have different owners."""

from collections.abc import Mapping

from compressionjob.pod_interface import (
    ACCESS_KEY_ID,
    SECRET_ACCESS_KEY,
    SESSION_TOKEN,
    Role,
    credential_variable,
)


def credentials(environment: Mapping[str, str], role: Role) -> dict[str, str]:
    """Return boto3's credential arguments of a role; empty to use boto3's chain (AWS_*, web identity)."""
    names = {
        "aws_access_key_id": ACCESS_KEY_ID,
        "aws_secret_access_key": SECRET_ACCESS_KEY,
        "aws_session_token": SESSION_TOKEN,
    }
    given = {argument: environment.get(credential_variable(role, key)) for argument, key in names.items()}
    return {argument: value for argument, value in given.items() if value}
