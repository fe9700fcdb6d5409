"""Running English text for language models: the King James Bible, by chapters."""

import itertools
import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from samples.packages import FetchError, debian

MAGIC = b"EC02Compressed Data File"
WINDOWS_AT = 84
"""Offset in the header of the window length and the number of windows, each four bytes (big-endian)."""
LZW_HEADER = b"\x1f\x9d\x90"
VERSE = re.compile(r"([1-3]?[A-Za-z]+)(\d+):(\d+) (.*)")
TEST_BOOKS = ("Ge", "Exo", "Lev", "Num", "Deu")
"""The first five books, 809,000 characters; the other 61 books are for training."""

Chapter = tuple[str, str]
"""Book and text: one verse a line, without its number."""


def kjv(destination: Path) -> None:
    """Write kjv-train.parquet and kjv-test.parquet: column text, one chapter for each row, with separate books."""
    destination.mkdir(parents=True, exist_ok=True)
    every = list(chapters())
    for name, test in (("train", False), ("test", True)):
        texts = [text for book, text in every if (book in TEST_BOOKS) == test]
        pq.write_table(pa.table({"text": texts}), destination / f"kjv-{name}.parquet")


def chapters() -> Iterator[Chapter]:
    """Yield the 1,189 chapters of 66 books."""
    lines = _text().splitlines()[1:]  # the first line is a title
    verses = [match.groups() for line in lines if (match := VERSE.fullmatch(line))]
    if len(verses) != len(lines):
        raise FetchError(f"bible-kjv-text has {len(lines) - len(verses)} lines that are no verses")
    for (book, _), group in itertools.groupby(verses, key=lambda verse: verse[:2]):
        yield book, "\n".join(text for *_, text in group)


def _text() -> str:
    """Return the text. The file has windows of 65,536 bytes, each compressed by compress(1), without its header."""
    data = (debian("bible-kjv-text") / "usr/lib/bible.data").read_bytes()
    if not data.startswith(MAGIC):
        raise FetchError("bible-kjv-text has another file format than version 4.38")
    _, count = struct.unpack_from(">2I", data, WINDOWS_AT)
    starts = [*struct.unpack_from(f">{count}I", data, WINDOWS_AT + 8), len(data)]
    return b"".join(_unpacked(data[start:end]) for start, end in itertools.pairwise(starts)).decode("ascii")


def _unpacked(window: bytes) -> bytes:
    # Python cannot read the LZW format of compress(1), but gzip can, which Debian always has.
    done = subprocess.run(["gzip", "-dc"], input=LZW_HEADER + window, capture_output=True, timeout=60)
    if done.returncode != 0:
        raise FetchError(f"gzip cannot unpack a window of bible.data: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
