"""Text files with one row per line, CSV and JSON lines: encoding, delimiter, and damaged lines."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

from compression_runner.dataset.problems import COLUMNS, SOURCE, bad_data

DELIMITERS: Final = (",", ";", "\t", "|")
UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
BYTES_CHECKED: Final = 4096
"""Bytes at the start that are checked for zeros, the sign of UTF-16 without a byte order mark."""
MAX_FIELD: Final = 1 << 30
"""Maximum characters in one field; long texts exceed the default of Python, 131,072."""
UTF16_REMEDY: Final = "save it as UTF-8 (iconv -f UTF-16 -t UTF-8; in Excel: CSV UTF-8)"
OTHER_REMEDY: Final = "save it as UTF-8 (for Latin-1: iconv -f WINDOWS-1252 -t UTF-8; in Excel: CSV UTF-8)"


@contextmanager
def utf8_text(path: Path) -> Iterator[TextIO]:
    """Open a text file of UTF-8, with or without a byte order mark.

    Raises InvalidInput, with the line, for another encoding, on opening or while reading.
    """
    with path.open("rb") as file:
        start = file.read(BYTES_CHECKED)
    if start.startswith(UTF16_MARKS) or b"\0" in start:
        problem = f"cannot be read as {path.suffix}: it is UTF-16 or UTF-32, or not a text file"
        raise bad_data(SOURCE, path.name, problem, UTF16_REMEDY)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield lines
    except UnicodeDecodeError as error:
        line, byte = _line_of_other_encoding(path), error.object[error.start]
        problem = f"cannot be read as {path.suffix}: line {line} is not UTF-8 (byte 0x{byte:02x})"
        raise bad_data(SOURCE, path.name, problem, OTHER_REMEDY) from error


def csv_header(lines: TextIO, names: Sequence[str] = ()) -> tuple[list[str], str]:
    """Return the first row of a CSV file and its delimiter, and go back to the start.

    The delimiter is a comma if the header can be read so; otherwise a semicolon, tab or bar in the header.
    """
    headers = {}
    for delimiter in DELIMITERS:
        lines.seek(0)
        headers[delimiter] = next(csv.reader(lines, delimiter=delimiter), [])
    lines.seek(0)
    if len(headers[","]) == 1 or not any(name in headers[","] for name in names):
        for delimiter in DELIMITERS[1:]:
            named = any(name in headers[delimiter] for name in names)
            if named or (not names and len(headers[delimiter]) > 1 == len(headers[","])):
                return headers[delimiter], delimiter
    return headers[","], ","


def csv_rows(lines: TextIO, name: str, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV file by column; a value missing at the end of a row is None.

    Raises InvalidInput, with the line, for a row that is not CSV or has more values than the header.
    """
    csv.field_size_limit(MAX_FIELD)
    header, delimiter = csv_header(lines, names)
    twice = next((column for column in names if header.count(column) > 1), None)
    if twice is not None:
        raise bad_data(COLUMNS, twice, f"the header of {name} has it more than once", "give each column its own name")
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    try:
        next(reader, None)
        for row in reader:
            if len(row) > len(header):
                problem = f"line {reader.line_num} has {len(row)} values, and the header {len(header)} columns"
                raise bad_data(SOURCE, name, problem, f"put values that contain {delimiter!r} in double quotes")
            if row:
                yield dict(zip(header, [*row, *[None] * (len(header) - len(row))], strict=True))
    except csv.Error as error:
        problem = f"cannot be read as .csv: line {reader.line_num} has text after a closing quote, or no closing quote"
        raise bad_data(SOURCE, name, problem, 'double the quotes within quoted values ("")') from error


def json_rows(lines: Iterable[str], name: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON lines file. Raises InvalidInput, with the line, for a line that is not an object."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            problem = f"cannot be read as .jsonl: line {number} is not JSON"
            raise bad_data(SOURCE, name, problem, "give one JSON object per line") from error
        if not isinstance(row, dict):
            problem = f"cannot be read as .jsonl: line {number} is not a JSON object"
            raise bad_data(SOURCE, name, problem, 'give lines such as {"text": "...", "label": 1}')
        yield row


def _line_of_other_encoding(path: Path) -> int:
    with path.open("rb") as file:
        return next(number for number, line in enumerate(file, 1) if not _is_utf8(line))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
