"""Tasks for language models: which word has a definition, and how a verse ends."""

import json
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from samples.bible import TEST_BOOKS, chapters
from samples.packages import debian

SEED = 20261130
CHOICES = 4
NOUN = re.compile(r"[a-z]{4,12}")
LAST_WORD = re.compile(r"(.{40,160}) ([a-z]{3,12})[.?!]")


def questions(destination: Path, count: int = 300) -> None:
    """Write words.jsonl (question, choices, answer) and verses.jsonl (question, answer), `count` rows each."""
    destination.mkdir(parents=True, exist_ok=True)
    generator = random.Random(SEED)
    defined = list(dict(_defined()).items())
    words = [_question(*one, defined, generator) for one in generator.sample(defined, count)]
    verses = [{"question": start, "answer": end} for start, end in generator.sample(list(_verses()), count)]
    for name, rows in (("words", words), ("verses", verses)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (destination / f"{name}.jsonl").write_text(lines)


def _question(
    word: str, definition: str, defined: Sequence[tuple[str, str]], generator: random.Random
) -> dict[str, object]:
    others = generator.sample([other for other, _ in defined if other != word], CHOICES - 1)
    choices = generator.sample([word, *others], CHOICES)
    return {"question": definition, "choices": choices, "answer": word}


def _defined() -> Iterator[tuple[str, str]]:
    """Yield common nouns of WordNet with their first definition: nouns of several senses."""
    folder = debian("wordnet-base") / "usr/share/wordnet"
    senses: dict[str, int] = {}
    for line in (folder / "index.noun").read_text(encoding="latin-1").splitlines():
        if not line.startswith(" "):
            word, _, count, *_ = line.split()
            senses[word] = int(count)
    for line in (folder / "data.noun").read_text(encoding="latin-1").splitlines():
        if line.startswith(" "):
            continue
        head, gloss = line.split(" | ", 1)
        word, definition = head.split()[4], gloss.split(";")[0].split('"')[0].strip(" ()")
        if (
            NOUN.fullmatch(word)
            and senses.get(word, 0) >= 4
            and 20 <= len(definition) <= 100
            and word not in definition
        ):
            yield word, definition


def _verses() -> Iterator[tuple[str, str]]:
    """Yield verses of the books that no sample trains on, without their last word, and that word."""
    for book, text in chapters():
        for verse in text.split("\n") if book in TEST_BOOKS else ():
            if match := LAST_WORD.fullmatch(verse):
                yield match[1], match[2]
