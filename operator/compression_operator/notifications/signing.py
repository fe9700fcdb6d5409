"""Signatures of notifications by Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over id, time of
sending and body.

A key file holds one key in each line, and a message carries a signature by each key. To rotate a key without losing a
message, add the new key, configure it in the receiver, and remove the old key.
"""

import base64
import binascii
from datetime import datetime
from pathlib import Path
from typing import Final

from standardwebhooks import Webhook

PREFIX: Final = "whsec_"
SHORTEST_KEY: Final = 24
LONGEST_KEY: Final = 64
MAX_KEYS: Final = 4
MAX_FILE: Final = 4096

_REMEDY: Final = (
    f"put one to {MAX_KEYS} keys there, one a line, each {PREFIX} and the base64 text of {SHORTEST_KEY} to "
    f'{LONGEST_KEY} random bytes, such as from: echo "{PREFIX}$(openssl rand -base64 32)"'
)


class UnusableKey(Exception):
    """The key file cannot be read or holds no key; the message shows none of its content."""


def headers(key_file: Path | None, event_id: str, sent: datetime, body: bytes) -> dict[str, str]:
    """Return the headers webhook-id, webhook-timestamp and, with a key, webhook-signature. ``sent`` is in UTC.

    The file is read each time, so that a changed Secret takes effect at once. Raises UnusableKey.
    """
    fields = {"webhook-id": event_id, "webhook-timestamp": str(int(sent.timestamp()))}
    if key_file is not None:
        keys = read_keys(key_file)
        text = body.decode()
        fields["webhook-signature"] = " ".join(Webhook(key).sign(event_id, sent, text) for key in keys)
    return fields


def read_keys(path: Path) -> list[bytes]:
    """Return the keys in a file; raises UnusableKey."""
    try:
        with path.open("rb") as file:
            lines = file.read(MAX_FILE).split()
    except OSError as error:
        raise UnusableKey(f"the key file {path} cannot be read ({error.strerror}); {_REMEDY}") from error
    if not 1 <= len(lines) <= MAX_KEYS:
        raise UnusableKey(f"the key file {path} has {len(lines)} lines; {_REMEDY}")
    return [_decode(path, number, line) for number, line in enumerate(lines, start=1)]


def _decode(path: Path, number: int, line: bytes) -> bytes:
    try:
        key = base64.b64decode(line.removeprefix(PREFIX.encode()), validate=True)
    except binascii.Error:
        key = b""
    if not line.startswith(PREFIX.encode()) or not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise UnusableKey(f"line {number} of the key file {path} is no key; {_REMEDY}")
    return key
