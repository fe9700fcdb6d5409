"""Which files are generated from this package, and their text."""

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import dashboard, rules

ROOT: Final = Path(__file__).parent.parent
CHART_FILES: Final = ROOT / "charts" / "compression-operator" / "files"


def files() -> dict[Path, str]:
    """Path -> text. The chart can read only files below its own folder, so it has copies."""
    board = json.dumps(dashboard.build().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
    alerts = rules.text()
    return {
        ROOT / "dashboards" / "compression-operator.json": board,
        ROOT / "dashboards" / "rules.yaml": alerts,
        CHART_FILES / "dashboards" / "compression-operator.json": board,
        CHART_FILES / "rules" / "rules.yaml": alerts,
    }
