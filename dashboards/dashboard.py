"""The dashboard: its variables and rows."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, VariableRefresh, VariableSort

from dashboards import control_loop, fleet, job
from dashboards.panels import DATASOURCE

UID: Final = "compression-operator"
_PROGRESS: Final = "compression_operator_job_progress_ratio"


def build() -> dashboard.Dashboard:
    """The dashboard, ready to be built."""
    board = (
        dashboard.Dashboard("Compression Operator")
        .uid(UID)
        .description("CompressionJobs: the fleet, the operator's control loop, and one job from progress to latency.")
        .tags(["compression-operator", "generated"])
        .readonly()
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_labels("namespace", "Namespace", f"label_values({_PROGRESS}, namespace)"))
        .with_variable(_labels("job", "Job", f'label_values({_PROGRESS}{{namespace=~"$namespace"}}, job)'))
    )
    for title, panels in (
        ("Fleet", fleet.panels()),
        ("Control loop", control_loop.panels()),
        ("Jobs: $namespace / $job", job.panels()),
    ):
        board.with_row(dashboard.Row(title))
        for panel in panels:
            board.with_panel(panel)
    return board


def _labels(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        # A job's series end with the job: those of the time shown are offered.
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )
