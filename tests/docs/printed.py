"""Whether what a command shows is what its page prints: the same lines, with other figures."""

import re
from collections.abc import Sequence
from typing import Final

_SUFFIX: Final = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b(?!-)")
"""What Kubernetes adds to a generated name."""
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_FIGURE: Final = re.compile(r"[-+]?\d[\w.]*")
_EITHER: Final = re.compile(r"\b(?:better|worse)\b")
"""What two noisy figures are to each other."""
_COLUMNS: Final = re.compile(r"[─━]+|\s+")


def shape(line: str) -> str:
    """Return a line without what differs from run to run: figures, ages, generated names, the width of columns."""
    line = _DIGEST.sub("#", _SUFFIX.sub("-#", line))
    return _COLUMNS.sub(" ", _EITHER.sub("#", _FIGURE.sub("#", line))).strip()


def missing(printed: Sequence[str], shown: str) -> list[str]:
    """Return the printed lines that no shown line is like."""
    shapes = {shape(line) for line in shown.splitlines()}
    return [line for line in printed if shape(line) not in shapes]
