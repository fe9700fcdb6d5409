"""One alert, and where its page lies."""

from dataclasses import dataclass
from typing import Any, Final, Literal

RUNBOOKS: Final = "docs/runbooks"
"""Folder of one page for each alert; the chart's prometheusRule.runbookBase puts a URL in its place."""


@dataclass(frozen=True)
class Alert:
    """An alert: PromQL, how long it must hold, and what it says."""

    name: str
    expression: str
    wait: str
    severity: Literal["critical", "warning", "info"]
    summary: str
    description: str

    def rule(self) -> dict[str, Any]:
        """The entry in a rule file."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.wait,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{RUNBOOKS}/{self.name}.md",
            },
        }
