"""The queries of the committed dashboards, with Grafana's variables replaced."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

BOARDS: Final = sorted((Path(__file__).parents[2] / "dashboards").glob("*.json"))


@dataclass(frozen=True)
class PanelQuery:
    """One query of one panel."""

    board: str
    panel: str
    expression: str
    legend: str
    instant: bool

    @property
    def id(self) -> str:
        """Name for test ids."""
        return f"{self.board}: {self.panel}: {self.legend}"


def panels(board: Path | None = None) -> Iterator[dict[str, Any]]:
    """Yield the panels of one dashboard or of all, including those in rows."""
    for file in BOARDS if board is None else [board]:
        for panel in json.loads(file.read_text())["panels"]:
            if panel["type"] == "row":
                yield from panel.get("panels", [])
            else:
                yield panel


def queries() -> list[PanelQuery]:
    """Return every query of every panel."""
    return [
        PanelQuery(board.stem, panel["title"], target["expr"], target["legendFormat"], bool(target.get("instant")))
        for board in BOARDS
        for panel in panels(board)
        for target in panel["targets"]
    ]


def metrics(expression: str) -> set[str]:
    """Return the project's metrics in an expression."""
    return set(re.findall(r"\bcompression_(?:operator|runner)_\w+", expression))


def resolved(
    expression: str, *, interval: str = "5m", span: str = "6h", namespace: str = "team", job: str = "minilm"
) -> str:
    """Return an expression with Grafana's variables replaced: rate ``interval`` and time range ``span``."""
    variables = {
        "$__rate_interval": interval,
        "$__range": span,
        "$namespace": namespace,
        "$job": job,
    }
    for name, value in variables.items():
        expression = expression.replace(name, value)
    if "$" in expression:
        raise ValueError(f"unknown variable in {expression!r}; add its value to tests/support/board.py")
    return expression
