"""Access control of the metrics: the API server identifies the token's user (TokenReview) and checks the permission
(SubjectAccessReview).

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#bearer-tokens
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from compression_operator.cluster.client import Client
from compression_operator.cluster.errors import ApiError
from compression_operator.cluster.resources import ACCESS_REVIEWS, TOKEN_REVIEWS
from compressionjob.pod_interface import METRICS_PATH

ALLOWED_FOR: Final = 60.0
"""Seconds for which a granted access is cached."""
REFUSED_FOR: Final = 10.0
"""Seconds for which a refusal is cached."""
MAX_REMEMBERED: Final = 1024
"""Maximum number of cached decisions."""
MAX_CHECKS: Final = 4
"""Maximum concurrent checks: no client may flood the API server through the operator."""
MAX_TOKEN: Final = 16384
"""Maximum characters of a token that is checked."""

_SCHEME: Final = "bearer"

logger = logging.getLogger(__name__)


class MetricsAccess:
    """Checks bearer tokens, and caches the decisions for a short time, by the digests of the tokens."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._decided: OrderedDict[bytes, tuple[int, float]] = OrderedDict()
        self._checks = asyncio.Semaphore(MAX_CHECKS)

    async def check(self, authorization: str) -> int:
        """Return the status for an Authorization header: 200, 401 (no such user), 403 (no right) or 503 (no answer)."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != _SCHEME or not token or len(token) > MAX_TOKEN:
            return 401
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        status = self._remembered(digest)
        if status is not None:
            return status
        async with self._checks:
            status = self._remembered(digest)  # another request may have checked the token meanwhile
            if status is None:
                status = await self._decide(token)
                self._remember(digest, status)
            return status

    async def _decide(self, token: str) -> int:
        try:
            identity = await self._client.review(TOKEN_REVIEWS, {"token": token})
            if identity.get("authenticated") is not True:
                return 401
            allowed = await self._client.review(ACCESS_REVIEWS, _access(identity.get("user") or {}))
        except ApiError as error:
            logger.warning("the API server did not check a token for %s: %s", METRICS_PATH, error)
            return 503
        return 200 if allowed.get("allowed") is True and allowed.get("denied") is not True else 403

    def _remembered(self, digest: bytes) -> int | None:
        status, until = self._decided.get(digest, (0, 0.0))
        return status if status and self._clock() < until else None

    def _remember(self, digest: bytes, status: int) -> None:
        if status == 503:
            return
        self._decided[digest] = (status, self._clock() + (ALLOWED_FOR if status == 200 else REFUSED_FOR))
        self._decided.move_to_end(digest)
        if len(self._decided) > MAX_REMEMBERED:
            self._decided.popitem(last=False)


def _access(user: Mapping[str, Any]) -> dict[str, Any]:
    attributes = {"path": METRICS_PATH, "verb": "get"}
    names = {"user": user.get("username"), "uid": user.get("uid")}
    lists = {"groups": user.get("groups"), "extra": user.get("extra")}
    return {"nonResourceAttributes": attributes} | {key: it for key, it in (names | lists).items() if it}
