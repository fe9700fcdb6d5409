"""The queries of the committed dashboard, as Grafana would send them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOARD = Path(__file__).parent.parent / "dashboards" / "compression-operator.json"


@dataclass(frozen=True)
class PanelQuery:
    """One query of one panel."""

    panel: str
    expression: str
    legend: str
    instant: bool

    @property
    def id(self) -> str:
        """A name for a test."""
        return f"{self.panel}: {self.legend}"


def panels() -> Iterator[dict[str, Any]]:
    """Every panel, those inside of rows included, rows themselves not."""
    for panel in json.loads(BOARD.read_text())["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def queries() -> list[PanelQuery]:
    """Every query of every panel."""
    return [
        PanelQuery(panel["title"], target["expr"], target["legendFormat"], bool(target.get("instant")))
        for panel in panels()
        for target in panel["targets"]
    ]


def resolved(expression: str, *, interval: str = "5m", namespace: str = ".*", job: str = ".*") -> str:
    """The expression with Grafana's variables replaced; ``interval`` is that of rates and of the time shown."""
    variables = {
        "$__rate_interval": interval,
        "$__range": interval,
        "$namespace": namespace,
        "$job": job,
    }
    for name, value in variables.items():
        expression = expression.replace(name, value)
    if "$" in expression:
        raise ValueError(f"unknown variable in {expression!r}; teach tests/board.py its value")
    return expression
