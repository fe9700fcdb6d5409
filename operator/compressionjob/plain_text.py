"""Text from outside without what a terminal obeys: escape sequences, and characters that turn the writing around."""

import re
from typing import Final

_OBEYED: Final = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f"  # C0 and delete, but tab and line feed: escape sequences begin with one
    "\x80-\x9f"  # C1: the same in one character
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction (https://www.unicode.org/reports/tr9)
    "\u2028\u2029"  # ends of lines that some programs see and some do not
    "]"
)


def plain(text: str) -> str:
    """Return a text without these characters; none of them takes room, so its width stays."""
    return _OBEYED.sub("", text)


def plain_json(text: str) -> str:
    """Return JSON with these characters escaped: it means the same, and a terminal shows it."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
