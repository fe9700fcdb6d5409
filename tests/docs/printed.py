"""Comparison of a command's output with its page: the same lines, but other numbers."""

import re
from collections.abc import Sequence
from typing import Final

_SUFFIX: Final = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b(?!-)")
"""Suffix of generated names in Kubernetes."""
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_FIGURE: Final = re.compile(r"[-+]?\d[\w.]*")
_EITHER: Final = re.compile(r"\b(?:better|worse)\b")
"""Words for the comparison of two noisy numbers."""
_COLUMNS: Final = re.compile(r"[─━]+|\s+")


def shape(line: str) -> str:
    """Return a line without the parts that differ between runs: numbers, ages, generated names, column widths."""
    line = _DIGEST.sub("#", _SUFFIX.sub("-#", line))
    return _COLUMNS.sub(" ", _EITHER.sub("#", _FIGURE.sub("#", line))).strip()


def missing(printed: Sequence[str], shown: str) -> list[str]:
    """Return the printed lines that match no shown line."""
    shapes = {shape(line) for line in shown.splitlines()}
    return [line for line in printed if shape(line) not in shapes]
