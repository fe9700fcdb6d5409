"""The chart's generated files are current."""

from pathlib import Path

import pytest

from charts.generate import CHART, files
from compressionjob import crd


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: path.name)
def test_schema_and_readme_are_current(path: Path) -> None:
    assert path.read_text() == files()[path], "run `make generate`"


def test_the_chart_has_the_crds(tmp_path: Path) -> None:
    crd.main([str(tmp_path)])
    fresh = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {path.name: path.read_text() for path in (CHART / "files" / "crds").iterdir()} == fresh, (
        "run `make generate`"
    )
