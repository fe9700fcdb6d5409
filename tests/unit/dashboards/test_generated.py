"""The committed dashboards and rules are current."""

from pathlib import Path

import pytest

from dashboards.generated import ROOT, files


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_current(path: Path) -> None:
    assert path.read_text() == files()[path], "run `make generate`"
