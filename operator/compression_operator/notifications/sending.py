"""One try of a notification: a signed request, and what its answer means."""

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
from compressionjob.schema import parse_duration
from compressionjob.status import CompressionJobStatus

LONGEST_TRYING: Final = timedelta(hours=72)
"""A notification that is older is given up when a try fails."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A try that failed; ``retry_after`` is the wait in seconds that the receiver asked for.

    ``final`` says that no other try is wanted.
    """

    text: str
    retry_after: float = 0.0
    final: bool = False


def too_old(key: NotificationKey, now: datetime) -> bool:
    """Whether a notification has been tried for long enough."""
    return now - parse_time(key[2]) > LONGEST_TRYING


async def send(
    session: aiohttp.ClientSession,
    receiver: Receiver,
    job: JobRecord,
    status: CompressionJobStatus,
    key: NotificationKey,
    source: str,
) -> Failure | None:
    """Send a notification once; None when the receiver took it. The answer's body is not read."""
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
            return _judged(response)
    except TimeoutError:
        return Failure(f"no answer within {receiver.timeout}")
    except aiohttp.ClientConnectionError as error:
        # It names host and port. Texts of other errors may hold the whole URL, which may be a secret.
        return Failure(f"no connection: {error}")
    except aiohttp.ClientError as error:
        return Failure(f"no HTTP: {type(error).__name__}")


def _judged(response: aiohttp.ClientResponse) -> Failure | None:
    code = response.status
    if 200 <= code < 300:
        return None
    if 300 <= code < 400:
        return Failure(f"answered {code}, but redirects are not followed; give the receiver its final URL")
    wait = response.headers.get("Retry-After", "")
    # Standard Webhooks: Gone is a receiver's way to say that it wants no more.
    return Failure(f"answered {code}", retry_after=float(wait) if wait.isdecimal() else 0.0, final=code == 410)
