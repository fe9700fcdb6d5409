"""The name of a CompressionJob as a label of its child Job and pods."""

import hashlib
from typing import Final

MAX_LABEL: Final = 63
"""Maximum characters of a label value; an object's name may have 253."""

_HASH: Final = 16


def label_value(name: str) -> str:
    """Return an object's name as a label value: a long name is cut, and ends in "_" and a hash of the whole name.

    No two names share a value, since names of objects contain no underscore.
    """
    if len(name) <= MAX_LABEL:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    return f"{name[: MAX_LABEL - _HASH - 1].rstrip('-.')}_{digest}"


def label_values(name: str) -> tuple[str, ...]:
    """Return all label values of a name; older operators cut it without a hash, so that names may share a value."""
    return tuple(dict.fromkeys((name, label_value(name), name[:MAX_LABEL].rstrip("-."))))
