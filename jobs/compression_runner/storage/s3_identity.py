"""Check the ambient identity of a pod: its session token is for AWS, and is sent with every request."""

from collections.abc import Mapping

import boto3

from compression_runner.errors import InvalidInput
from compressionjob.endpoints import is_aws_s3, same_endpoint
from compressionjob.pod_interface import ENDPOINT_URL


def require_bound_identity(environment: Mapping[str, str], endpoint: str | None, field: str) -> None:
    """Raise InvalidInput if an ambient session token would go to an endpoint that the runtime does not name."""
    bound = environment.get(f"{ENDPOINT_URL}_S3") or environment.get(ENDPOINT_URL)
    if endpoint is None or is_aws_s3(endpoint) or (bound and same_endpoint(bound, endpoint)):
        return
    credentials = boto3.session.Session().get_credentials()
    if credentials is not None and credentials.get_frozen_credentials().token:
        problem = "the runtime's identity has a session token, which is for AWS only"
        remedy = (
            f"name a Secret in spec.storage.secretName, or set {ENDPOINT_URL} in the runtime's env to this endpoint"
        )
        raise InvalidInput("EndpointNotBound", field, endpoint, problem, remedy)
