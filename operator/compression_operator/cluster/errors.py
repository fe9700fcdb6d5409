"""Errors of requests to the API server.

ApiError
|-- Unreachable            no answer: connection refused, reset, timeout
`-- Refused                an answer with a status of 400 or more
    |-- Unauthorized       401
    |-- Forbidden          403
    |   `-- PolicyRefused  400, 403 or 422, about the NetworkPolicy of a job's pods
    |-- NotFound           404
    |-- AlreadyExists      409, reason AlreadyExists
    |-- Conflict           409, anything else
    |-- Gone               410
    |-- Invalid            400, 422
    |-- TooManyRequests    429
    `-- ServerTrouble      5xx
CredentialsError           no way to reach a cluster at all
"""

from collections.abc import Mapping
from typing import Any, Final

MAX_RETRY_AFTER: Final = 120.0
"""Upper bound, in seconds, of the wait that a server may ask for."""


class CredentialsError(Exception):
    """There is no usable kubeconfig and no service account."""


class ApiError(Exception):
    """A request to the API server failed; ``retry_after`` is the wait in seconds that the server asked for."""

    reason = "ApiError"
    retry_after: float = 0.0


class Unreachable(ApiError):
    """The API server gave no answer."""

    reason = "Unreachable"


class Refused(ApiError):
    """The API server answered with an error. ``subject`` is what it refused, for messages about a job's child."""

    reason = "Refused"
    subject = "the Job"

    def __init__(self, code: int, message: str, *, request: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{request}: {code}: {message}")
        self.code = code
        self.message = message
        self.retry_after = retry_after


class Unauthorized(Refused):
    """The credentials are not accepted, or no longer."""

    reason = "Unauthorized"


class Forbidden(Refused):
    """RBAC, a quota or an admission policy does not allow it."""

    reason = "Forbidden"


class PolicyRefused(Forbidden):
    """The NetworkPolicy of a job's pods was refused. No field of the job is the cause."""

    subject = "the NetworkPolicy"


class NotFound(Refused):
    """The object, or its kind, does not exist."""

    reason = "NotFound"


class AlreadyExists(Refused):
    """An object of that name exists."""

    reason = "AlreadyExists"


class Conflict(Refused):
    """The object has changed since it was read."""

    reason = "Conflict"


class Gone(Refused):
    """The list or watch is too old to be continued."""

    reason = "Gone"


class Invalid(Refused):
    """The object is not valid; sending it again will not help."""

    reason = "Invalid"


class TooManyRequests(Refused):
    """The API server asks to slow down."""

    reason = "TooManyRequests"


class ServerTrouble(Refused):
    """The API server, or a component behind it, failed."""

    reason = "ServerTrouble"


_BY_CODE: Final[Mapping[int, type[Refused]]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def refusal(code: int, status: Mapping[str, Any], *, request: str, retry_after: str) -> Refused:
    """Return the error for an answer.

    ``status`` is the body, a metav1.Status where the API server wrote it; ``retry_after`` is the header of that name.
    """
    kind = _BY_CODE.get(code, ServerTrouble if code >= 500 else Refused)
    if code == 409 and status.get("reason") == "AlreadyExists":
        kind = AlreadyExists
    message = str(status.get("message") or status.get("reason") or "no message")
    details = status.get("details")
    in_body = details.get("retryAfterSeconds") if isinstance(details, Mapping) else None
    seconds = parse_retry_after(retry_after) or parse_retry_after(in_body)
    return kind(code, message, request=request, retry_after=seconds)


def parse_retry_after(value: object) -> float:
    """Return a wait within its bounds; 0 if it is not a number, such as a date."""
    try:
        return min(max(0.0, float(str(value))), MAX_RETRY_AFTER)
    except ValueError:
        return 0.0
