"""Shell patterns of weight names (`*` stands for any part)."""

import fnmatch
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

NamePattern = Annotated[str, Field(min_length=1, max_length=128)]
NamePatterns = Annotated[list[NamePattern], Field(max_length=32)]


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Return whether any of the patterns matches the whole name."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
