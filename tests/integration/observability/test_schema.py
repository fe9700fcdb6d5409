"""The dashboards pass Grafana's own schema, strictly read."""

import json
from pathlib import Path

import pytest

from localcluster import gobuild
from localcluster.command import run
from localcluster.errors import LocalClusterError
from tests.support.board import BOARDS, panels


@pytest.fixture(scope="module")
def checker() -> Path:
    return gobuild.ensure(gobuild.GRAFANA_SCHEMA)


def test_the_dashboards_pass_grafanas_schema(checker: Path) -> None:
    run([checker, *BOARDS])


@pytest.mark.parametrize(
    ("part", "field", "wrong"),
    [
        (lambda panel: panel, "fieldConfig", "fieldConfigs"),
        (lambda panel: panel["options"], "graphMode", "graphMood"),
        (lambda panel: panel["targets"][0], "expr", "expression"),
    ],
)
def test_an_unknown_field_is_reported(checker, part, field, wrong, tmp_path):
    board = json.loads(BOARDS[0].read_text())
    panel = next(panel for panel in board["panels"] if panel["type"] == "stat")
    part(panel)[wrong] = part(panel).pop(field)
    file = tmp_path / "board.json"
    file.write_text(json.dumps(board))
    with pytest.raises(LocalClusterError, match=f"{field}|{wrong}"):
        run([checker, file])


def test_the_checker_supports_every_type_of_panel() -> None:
    """The checker reads the options of these types only."""
    assert {panel["type"] for panel in panels()} == {"stat", "bargauge", "table", "timeseries"}
