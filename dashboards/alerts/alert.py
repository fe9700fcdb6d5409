"""One alert and the location of its runbook."""

from dataclasses import dataclass
from typing import Any, Final, Literal

RUNBOOKS: Final = "docs/runbooks"
"""Folder with a page for each alert. The chart's prometheusRule.runbookBase replaces it with a URL."""


@dataclass(frozen=True)
class Alert:
    """An alert: PromQL expression, waiting time and texts."""

    name: str
    expression: str
    wait: str
    severity: Literal["critical", "warning", "info"]
    summary: str
    description: str

    def rule(self) -> dict[str, Any]:
        """Return the entry in a rule file."""
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
