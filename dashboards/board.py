"""The layout of a dashboard: a variable for the data source, links to the other dashboards, rows of panels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType, Panel

TAG: Final = "compression-operator"
"""Tag by which the dashboards link to each other, in any folder."""


@dataclass(frozen=True)
class Board:
    """One dashboard. ``rows`` maps titles to panels; ``variables`` are the selections of its reader."""

    uid: str
    title: str
    description: str
    rows: Mapping[str, Sequence[Builder[Panel]]]
    variables: Sequence[dashboard.QueryVariable] = field(default=())

    def build(self) -> dashboard.Dashboard:
        """Return the builder of the dashboard."""
        board = (
            dashboard.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([TAG, "generated"])
            .readonly()
            .time("now-6h", "now")
            .refresh("30s")
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .link(_links())
            .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        )
        for variable in self.variables:
            board.with_variable(variable)
        for title, panels in self.rows.items():
            board.with_row(dashboard.Row(title))
            for panel in panels:
                board.with_panel(panel)
        return board


def _links() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Compression")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .keep_time(True)
        .include_vars(True)
    )
