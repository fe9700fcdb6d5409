"""The files that are generated from this package."""

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
    """Return the text of each file by its path. The chart has copies, since it reads only files in its own folder."""
    alerts = rules.text()
    texts = {ROOT / "dashboards" / "rules.yaml": alerts, CHART_FILES / "rules" / "rules.yaml": alerts}
    for board in boards():
        text = json.dumps(board.build().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        texts |= {folder / f"{board.uid}.json": text for folder in (BOARDS, CHART_FILES / "dashboards")}
    return texts


def boards() -> tuple[Board, ...]:
    """Return the dashboards."""
    return (fleet.board(), job.board(), control_loop.board())
