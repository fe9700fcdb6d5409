"""What the dashboards have in common: a data source to choose, links to one another, rows of panels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType, Panel

TAG: Final = "compression-operator"
"""By this tag the dashboards find one another, in whatever folder they lie."""


@dataclass(frozen=True)
class Board:
    """One dashboard: ``rows`` are titles with their panels, ``variables`` what its reader chooses."""

    uid: str
    title: str
    description: str
    rows: Mapping[str, Sequence[Builder[Panel]]]
    variables: Sequence[dashboard.QueryVariable] = field(default=())

    def build(self) -> dashboard.Dashboard:
        """The dashboard, ready to be built."""
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
