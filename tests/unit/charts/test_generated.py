"""The generated files of the chart, and the CRDs, are current."""

from pathlib import Path

import pytest

from charts.generate import CHART, files
from compressionjob import crd


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: path.name)
def test_schema_and_readme_are_current(path: Path) -> None:
    assert path.read_text() == files()[path], "run `make generate`"


@pytest.mark.parametrize("folder", [CHART / "files" / "crds", CHART.parents[1] / "crds"], ids=["chart", "crds"])
def test_crds_are_current(folder: Path, tmp_path: Path) -> None:
    crd.main([str(tmp_path)])
    fresh = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {path.name: path.read_text() for path in folder.iterdir()} == fresh, "run `make generate`"
