"""Comparison of server addresses."""

import re
from typing import Final
from urllib.parse import urlsplit

HUB: Final = "https://huggingface.co"
"""The Hugging Face Hub."""
_PORTS: Final = {"http": 80, "https": 443}
_AWS_S3: Final = re.compile(
    r"https://((bucket|accesspoint|control)\.)?(vpce-[a-z0-9-]+\.)?s3(-fips|-accelerate)?(\.dualstack)?"
    r"(\.[a-z]{2}(-[a-z]+)+-[0-9])?(\.vpce)?\.amazonaws\.com(\.cn)?/?"
)


def same_endpoint(first: str, second: str) -> bool:
    """Return whether two URLs have the same scheme, host, port and path."""
    return _parts(first) == _parts(second)


def is_aws_s3(endpoint: str) -> bool:
    """Return whether an endpoint is an S3 endpoint of AWS, over TLS."""
    return _AWS_S3.fullmatch(endpoint) is not None


def _parts(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url.strip())
    scheme = parts.scheme.lower()
    try:
        port = parts.port
    except ValueError:
        port = -1
    return scheme, (parts.hostname or "").lower(), port or _PORTS.get(scheme), parts.path.rstrip("/")
