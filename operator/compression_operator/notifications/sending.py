"""One attempt to send a notification: a signed request, and the meaning of its response."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import aiohttp

from compression_operator.notifications import signing
from compression_operator.notifications.message import event_id, message
from compression_operator.notifications.receivers import Receiver
from compression_operator.records.delivery import NotificationKey
from compression_operator.records.job import JobRecord
from compression_operator.records.reading import parse_time
from compressionjob.field_types import parse_duration
from compressionjob.status import CompressionJobStatus

MAX_AGE: Final = timedelta(hours=72)
"""An older notification is dropped when an attempt fails."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt; ``retry_after`` is the wait in seconds that the receiver asked for.

    ``final``: the receiver wants no retry.
    """

    text: str
    retry_after: float = 0.0
    final: bool = False


def too_old(key: NotificationKey, now: datetime) -> bool:
    """Return whether a notification is too old for another attempt."""
    return now - parse_time(key[2]) > MAX_AGE


async def send(
    session: aiohttp.ClientSession,
    receiver: Receiver,
    job: JobRecord,
    status: CompressionJobStatus,
    key: NotificationKey,
    source: str,
) -> Failure | None:
    """Send a notification once; return None if the receiver accepted it. The response body is not read."""
    content = message(job, status, key, source)
    try:
        signed = signing.headers(receiver.key_file, event_id(job, key), datetime.now(UTC), content.body)
    except signing.UnusableKey as error:
        return Failure(str(error))
    timeout = aiohttp.ClientTimeout(total=parse_duration(receiver.timeout))
    try:
        async with session.post(
            receiver.url, data=content.body, headers=content.headers | signed, timeout=timeout, allow_redirects=False
        ) as response:
            return _failure_of(response)
    except TimeoutError:
        return Failure(f"no answer within {receiver.timeout}")
    except aiohttp.ClientConnectionError as error:
        # The text names host and port. Texts of other errors may contain the whole URL, which may be a secret.
        return Failure(f"no connection: {error}")
    except aiohttp.ClientError as error:
        return Failure(f"no HTTP: {type(error).__name__}")


def _failure_of(response: aiohttp.ClientResponse) -> Failure | None:
    code = response.status
    if 200 <= code < 300:
        return None
    if 300 <= code < 400:
        return Failure(f"answered {code}, but redirects are not followed; give the receiver its final URL")
    wait = response.headers.get("Retry-After", "")
    # Standard Webhooks: with 410 Gone, a receiver asks for no more messages.
    return Failure(f"answered {code}", retry_after=float(wait) if wait.isdecimal() else 0.0, final=code == 410)
