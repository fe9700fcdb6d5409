"""`compression-runner report`: a report.json converted to HTML or Markdown."""

from pathlib import Path

import pytest

from compression_runner.__main__ import main
from tests.support.reports import fallen_back, report


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    place = tmp_path / "report.json"
    place.write_text(fallen_back().model_dump_json(by_alias=True))
    return place


def test_markdown_goes_to_standard_output(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(kept)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("## ✓ Pass: `minilm-int8`")
    assert "### Fallback" in said


def test_a_page_goes_to_a_file(kept: Path, tmp_path: Path) -> None:
    assert main(["report", str(kept), "--format", "html", "--output", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_a_report_of_an_earlier_version_is_read(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept.write_text(report().model_dump_json(by_alias=True, exclude={"fallback", "held", "review"}))
    assert main(["report", str(kept)]) == 0
    assert "### Fallback" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "it cannot be read"), ("{", "it cannot be read"), ('{"verdict": "Maybe"}', "it is no report")],
)
def test_an_invalid_report_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    place = tmp_path / "other.json"
    if content is not None:
        place.write_text(content)
    assert main(["report", str(place)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert str(place) in said
    assert "Traceback" not in said
