"""CSV and JSON lines as spreadsheets and databases write them: encodings, delimiters, damaged lines."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from compression_runner.dataset.table import column_names, number_columns, read_table
from compression_runner.errors import InvalidInput

ROWS = 'text,label\n"a cat, a dog",1\na café,0\n'


def texts(path: Path, names: Sequence[str] = ("text", "label")) -> list[list[str]]:
    table = read_table(path, names, [], range(10))
    return [list(table[name]) for name in names]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_mark_and_line_ends_are_stripped(encoding: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(ROWS.replace("\n", end).encode(encoding))
    assert texts(path) == [["a cat, a dog", "a café"], ["1", "0"]]
    assert column_names(path) == ["text", "label"]
    assert number_columns(path) == ["label"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_json_lines_may_have_a_byte_order_mark(end: str, tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(f'{{"text": "a café", "label": 1}}{end}{end}{{"text": "b", "label": 0}}'.encode("utf-8-sig"))
    assert texts(path) == [["a café", "b"], [1, 0]]
    assert number_columns(path) == ["label"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_header_determines_the_delimiter(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(f'text{delimiter}label\n"a{delimiter}b"{delimiter}1\nc, d{delimiter}0\n', encoding="utf-8-sig")
    assert texts(path) == [[f"a{delimiter}b", "c, d"], ["1", "0"]]
    assert column_names(path) == ["text", "label"]
    assert number_columns(path) == ["label"]


def test_a_comma_has_priority_over_other_delimiters(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,a;label\nx,y;1\n")
    assert texts(path, ["text", "a;label"]) == [["x"], ["y;1"]]
    alone = tmp_path / "one.csv"
    alone.write_text("text|en\nx|y\n")
    assert texts(alone, ["text|en"]) == [["x|y"]]


def test_long_texts_and_short_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,label\n" + "x" * 200_000 + "\n")
    table = read_table(path, ["text"], ["label"], range(10))
    assert (len(table["text"][0]), table["label"][0]) == (200_000, None)


BAD: dict[str, tuple[str, bytes, str]] = {
    "utf-16": ("d.csv", ROWS.encode("utf-16"), r"source.*'d\.csv'.*UTF-16.*save it as UTF-8"),
    "utf-16 without a mark": ("d.csv", ROWS.encode("utf-16-le"), r"UTF-16.*save it as UTF-8"),
    "utf-32": ("d.csv", ROWS.encode("utf-32"), r"UTF-32.*save it as UTF-8"),
    "latin-1": ("d.csv", ROWS.encode("latin-1"), r"line 3 is not UTF-8 \(byte 0xe9\).*iconv -f WINDOWS-1252"),
    "utf-16 lines": ("d.jsonl", b'{"text": "x"}'.decode().encode("utf-16"), r"UTF-16.*save it as UTF-8"),
    "latin-1 lines": ("d.jsonl", '{"text": "x"}\n{"text": "é"}'.encode("latin-1"), r"line 2 is not UTF-8"),
    "too many values": ("d.csv", b"text,label\na, b,1\n", r"line 2 has 3 values, and the header 2 columns.*quotes"),
    "an open quote": (
        "d.csv",
        b'text,label\na,1\n"b,0\n',
        r"text after a closing quote, or no closing quote",
    ),
    "two columns of a name": ("d.csv", b"text,text\na,b\n", r"columns.*'text'.*more than once"),
    "no JSON": ("d.jsonl", b'{"text": "x"}\n{"text": \n', r"line 2 is not JSON; give one JSON object per line"),
    "no object": ("d.jsonl", b'{"text": "x"}\n\n["y"]\n', r"line 3 is not a JSON object"),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD)
def test_unreadable_files_are_reported_with_their_line(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        read_table(tmp_path / name, ["text"], [], range(10))
