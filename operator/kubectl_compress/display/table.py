"""The table of jobs."""

from collections.abc import Iterable
from datetime import datetime

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kubectl_compress.display.terminal import age, coloured
from kubectl_compress.job import Job

_BAR, _NARROW_BAR = 20, 10


def jobs_table(
    jobs: Iterable[Job], now: datetime, *, namespaces: bool, bars: bool = False, narrow: bool = False
) -> Table:
    """Return a table with name, phase, stage or reason, figures, verdict and age of each job.

    With ``bars`` it has progress bars; ``narrow`` leaves out figures and age.
    """
    titles = ["NAME", "PHASE", "DETAIL", "PROGRESS", "VERDICT"] + ([] if narrow else ["SIZE", "P99", "AGE"])
    table = columns(*(["NAMESPACE", *titles] if namespaces else titles))
    for job in jobs:
        cells = [
            Text(job.name),
            Text(job.phase, style="red") if job.is_stuck else coloured(job.phase or "-"),
            Text(_detail(job), style="red" if job.is_stuck else ""),
            _progress(job, _NARROW_BAR if narrow else _BAR) if bars else _per_cent(job),
            coloured(job.verdict),
            Text(str(job.status.get("sizeRatio", ""))),
            Text(str(job.status.get("latencyP99", ""))),
            Text(age(job.created, now)),
        ]
        cells = cells[: len(titles)]
        table.add_row(*([Text(job.namespace), *cells] if namespaces else cells))
    return table


def columns(*titles: str) -> Table:
    """Return a table without lines, in kubectl's format: columns are three spaces apart."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    return table


def _detail(job: Job) -> str:
    """Return the stage of a running job, or the reason of a waiting or failed one."""
    if job.phase == "Running":
        return job.stage
    return job.reason if job.phase in ("Pending", "Failed") else ""


def _progress(job: Job, width: int) -> Text | Table:
    text = _per_cent(job)
    if job.ended or job.progress is None:
        return text
    cell = Table.grid(padding=(0, 1, 0, 0))
    cell.add_row(ProgressBar(total=100, completed=job.progress, width=width), text)
    return cell


def _per_cent(job: Job) -> Text:
    return Text("" if job.progress is None or job.phase == "Failed" else f"{job.progress} %")
