"""Definitions and example sentences of WordNet, with their part of speech."""

import re
from collections.abc import Iterator
from pathlib import Path

from samples.packages import debian

PARTS = ("noun", "verb", "adj", "adv")
EXAMPLE = re.compile(r'"([^"]+)"')


def of_part(part: str) -> list[str]:
    """Return the distinct definitions of one part of speech in the order of the dictionary."""
    return list(dict.fromkeys(text for text, _ in _read(part) if len(text) >= 20))


def sentences(count: int) -> list[str]:
    """Return `count` distinct examples and definitions of 25 to 400 characters, spread over the dictionary."""
    distinct: dict[str, None] = {}
    for part in PARTS:
        for definition, examples in _read(part):
            for text in (*examples, definition):
                if 25 <= len(text) <= 400:
                    distinct[text] = None
    every = list(distinct)
    step = len(every) / count
    return [every[int(index * step)] for index in range(count)]


def _read(part: str) -> Iterator[tuple[str, list[str]]]:
    path: Path = debian("wordnet-base") / "usr/share/wordnet" / f"data.{part}"
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("  ") or " | " not in line:
            continue
        gloss = line.split(" | ", 1)[1].strip()
        examples = [example.strip() for example in EXAMPLE.findall(gloss)]
        definition = gloss.split('; "', 1)[0].split(' "', 1)[0].strip(" ;")
        yield definition, [example for example in examples if example.count(" ") >= 4]
