"""Live display of jobs: progress bars on a terminal, otherwise a line for each change."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kubectl_compress.display.detail import condition_lines, headline, message_of, steps_line, times
from kubectl_compress.display.table import jobs_table
from kubectl_compress.display.terminal import Terminal, coloured
from kubectl_compress.job import Job

_REFRESH: Final = 4
"""Refreshes per second, for the clock and the pulse."""
_BAR: Final = 48
_AROUND: Final = 4
"""Lines of a live table that are not rows."""
_WIDE_ENOUGH: Final = 120
"""Minimum columns of a terminal for all columns of a live table, whose lines must not wrap."""


class Listener(Protocol):
    """Receives changes of jobs; as a context manager it owns the terminal meanwhile."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, job: Job) -> None:
        """Show the present state of a job."""

    def remove(self, job: Job) -> None:
        """Remove a deleted job."""

    def connection_error(self, text: str) -> None:
        """Show kubectl's message about a lost connection; "" when it is back."""


class Silent:
    """A listener that shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def show(self, job: Job) -> None:
        """Do nothing."""

    def remove(self, job: Job) -> None:
        """Do nothing."""

    def connection_error(self, text: str) -> None:
        """Do nothing."""


class Lines(Silent):
    """One line for each visible change, for logs and pipes."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._last_lines: dict[str, str] = {}

    def show(self, job: Job) -> None:
        """Print a line, unless it equals the last one of this job."""
        parts = [job.name, job.phase or "not seen yet"]
        if job.verdict:
            parts.append(job.verdict)
        elif job.stage and not job.ended:
            parts.append(job.stage + ("" if job.progress is None else f" {job.progress} %"))
        if job.message and (job.ended or not job.stage):
            parts.append(job.message)
        self._print(job.uid, "  ".join(parts))

    def remove(self, job: Job) -> None:
        """Print a line."""
        self._print(job.uid, f"{job.name}  deleted")

    def connection_error(self, text: str) -> None:
        """Print a note about a lost connection."""
        self._print("", f"connection lost, reconnecting: {text}" if text else "")

    def _print(self, key: str, text: str) -> None:
        if text and self._last_lines.get(key) != text:
            (self._terminal.show_line if key else self._terminal.note)(text)
        self._last_lines[key] = text


class _LiveView(Silent, ABC):
    """A display that is redrawn until the block ends, and then removed."""

    def __init__(self, terminal: Terminal, clock: Callable[[], datetime]) -> None:
        self._terminal = terminal
        self._clock = clock
        self._connection_error = ""
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self._live = Live(
            console=self._terminal.out, get_renderable=self._draw, refresh_per_second=_REFRESH, transient=True
        )
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Release the terminal."""
        if self._live is not None:
            self._live.stop()

    def connection_error(self, text: str) -> None:
        """Show a lost connection below the display."""
        self._connection_error = text

    def _draw(self) -> RenderableType:
        content = self.render(self._clock())
        if not self._connection_error:
            return content
        return Group(content, Text(f"connection lost, reconnecting: {self._connection_error}", style="yellow"))

    @abstractmethod
    def render(self, now: datetime) -> RenderableType:
        """Return the content of the display."""


class OneJob(_LiveView):
    """One job with progress bar, steps and conditions."""

    def __init__(self, terminal: Terminal, clock: Callable[[], datetime]) -> None:
        super().__init__(terminal, clock)
        self._job: Job | None = None

    def show(self, job: Job) -> None:
        """Display this state of the job."""
        self._job = job

    def render(self, now: datetime) -> RenderableType:
        """Return headline, progress bar, steps and conditions."""
        job = self._job
        if job is None:
            return Text("reading the cluster ...", style="dim")
        known = job.progress is not None
        bar = Table.grid(padding=(0, 2, 0, 0))
        bar.add_row(
            ProgressBar(total=100, completed=job.progress or 0, width=_BAR, pulse=not known and job.phase == "Running"),
            Text(f"{job.progress} %" if known else ""),
            Text(times(job, now), style="dim"),
        )
        parts: list[RenderableType] = [headline(job), Padding(Group(bar, steps_line(job.steps)), (1, 0))]
        message = message_of(job)
        if message:
            parts.append(Text(message))
        return Group(*parts, *condition_lines(job, now, [message]))


class ManyJobs(_LiveView):
    """A table of jobs, the running ones first, with as many rows as the terminal has lines."""

    def __init__(self, terminal: Terminal, clock: Callable[[], datetime], *, namespaces: bool) -> None:
        super().__init__(terminal, clock)
        self._namespaces = namespaces
        self._jobs: dict[str, Job] = {}

    def show(self, job: Job) -> None:
        """Display this state of the job."""
        self._jobs[job.uid] = job

    def remove(self, job: Job) -> None:
        """Remove the job from the table."""
        self._jobs.pop(job.uid, None)

    def render(self, now: datetime) -> RenderableType:
        """Return the counts by phase, and the table."""
        jobs = sorted(self._jobs.copy().values(), key=_urgency)
        room = max(1, self._terminal.out.height - _AROUND)
        narrow = self._terminal.out.width < _WIDE_ENOUGH
        table = jobs_table(jobs[:room], now, namespaces=self._namespaces, bars=True, narrow=narrow)
        hidden = len(jobs) - room
        more = [Text(f"and {hidden} more", style="dim")] if hidden > 0 else []
        return Group(counts(jobs), Text(), table, *more)


def counts(jobs: list[Job]) -> Text:
    """Return a line with the number of jobs in each phase."""
    phases: dict[str, int] = {}
    for job in jobs:
        phases[job.phase or "not seen yet"] = phases.get(job.phase or "not seen yet", 0) + 1
    line = Text(f"{len(jobs)} jobs" if len(jobs) != 1 else "1 job", style="bold")
    for phase, count in sorted(phases.items()):
        line.append("  ").append_text(coloured(phase)).append(f" {count}", style="not bold")
    return line


def _urgency(job: Job) -> tuple[int, float, str]:
    order = {"Running": 0, "AwaitingReview": 1, "Pending": 2, "": 2, "Suspended": 3}
    # Of the ended jobs, the newest first.
    created = job.created
    return order.get(job.phase, 4), -(created.timestamp() if created else 0.0), job.name
