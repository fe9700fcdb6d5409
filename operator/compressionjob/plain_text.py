"""Removal of terminal escape sequences and of text direction characters from untrusted text."""

import re
from typing import Final

_CONTROL_CHARACTERS: Final = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f"  # C0 and delete, without tab and line feed: escape sequences start with one
    "\x80-\x9f"  # C1: escape sequences of one character
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction (https://www.unicode.org/reports/tr9)
    "\u2028\u2029"  # line separators that only some programs treat as such
    "]"
)


def plain(text: str) -> str:
    """Return a text without these characters. They have no width, so the width of the text stays."""
    return _CONTROL_CHARACTERS.sub("", text)


def plain_json(text: str) -> str:
    """Return JSON with these characters escaped, so that it has the same value and a terminal shows them."""
    return _CONTROL_CHARACTERS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
