"""All jobs in a table, a row each."""

from collections.abc import Iterable
from datetime import datetime

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kubectl_compress.display.terminal import age, coloured
from kubectl_compress.job import Job

_BAR = 20


def jobs_table(jobs: Iterable[Job], now: datetime, *, namespaces: bool, bars: bool = False) -> Table:
    """Name, phase, what it does or why not, figures, verdict and age; with ``bars`` the progress is drawn."""
    table = columns("NAME", "PHASE", "DETAIL", "PROGRESS", "SIZE", "P99", "VERDICT", "AGE")
    if namespaces:
        table = columns("NAMESPACE", "NAME", "PHASE", "DETAIL", "PROGRESS", "SIZE", "P99", "VERDICT", "AGE")
    for job in jobs:
        cells = [
            Text(job.name),
            coloured(job.phase or "-"),
            Text(_detail(job)),
            _progress(job, bars=bars),
            Text(str(job.status.get("sizeRatio", ""))),
            Text(str(job.status.get("latencyP99", ""))),
            coloured(job.verdict),
            Text(age(job.created, now)),
        ]
        table.add_row(*([Text(job.namespace), *cells] if namespaces else cells))
    return table


def columns(*titles: str) -> Table:
    """A table without lines, its columns three blanks apart, as kubectl prints them."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    return table


def _detail(job: Job) -> str:
    """What it does, why it waits, or why it failed."""
    if job.phase == "Running":
        return job.stage
    return job.reason if job.phase in ("Pending", "Failed") else ""


def _progress(job: Job, *, bars: bool) -> Text | Table:
    text = Text("" if job.progress is None or job.phase == "Failed" else f"{job.progress} %")
    if not bars or job.ended or job.progress is None:
        return text
    cell = Table.grid(padding=(0, 1, 0, 0))
    cell.add_row(ProgressBar(total=100, completed=job.progress, width=_BAR), text)
    return cell
