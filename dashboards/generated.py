"""Which files are generated from this package, and their text."""

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import control_loop, fleet, job, rules
from dashboards.board import Board

ROOT: Final = Path(__file__).parent.parent
BOARDS: Final = ROOT / "dashboards"
CHART_FILES: Final = ROOT / "charts" / "compression-operator" / "files"


def files() -> dict[Path, str]:
    """Path -> text. The chart can read only files below its own folder, so it has copies."""
    alerts = rules.text()
    found = {ROOT / "dashboards" / "rules.yaml": alerts, CHART_FILES / "rules" / "rules.yaml": alerts}
    for board in boards():
        text = json.dumps(board.build().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        found |= {folder / f"{board.uid}.json": text for folder in (BOARDS, CHART_FILES / "dashboards")}
    return found


def boards() -> tuple[Board, ...]:
    """The dashboards."""
    return (fleet.board(), job.board(), control_loop.board())
