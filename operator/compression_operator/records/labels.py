"""The name of a CompressionJob as a label of its child Job and pods."""

import hashlib
from typing import Final

MAX_LABEL: Final = 63
"""Most characters of a label's value; an object's name may have 253."""

_HASH: Final = 16


def label_value(name: str) -> str:
    """Return an object's name as a label's value: a long one is cut, and ends in "_" and a hash of all of it.

    No two names share a value, since no name of an object has an underscore.
    """
    if len(name) <= MAX_LABEL:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    return f"{name[: MAX_LABEL - _HASH - 1].rstrip('-.')}_{digest}"


def label_values(name: str) -> tuple[str, ...]:
    """Return every value that may stand for a name: that of an older operator is cut, and others may share it."""
    return tuple(dict.fromkeys((name, label_value(name), name[:MAX_LABEL].rstrip("-."))))
