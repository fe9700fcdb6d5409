"""Jobs as they change: progress bars on a terminal, a line for each change elsewhere."""

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
"""Pictures a second: the clock and the pulse move, though nothing else did."""
_BAR: Final = 48
_AROUND: Final = 4
"""Lines of a live table that are not rows."""
_WIDE_ENOUGH: Final = 120
"""Columns of a terminal in which a live table, whose lines must fit, has room for all that it can show."""


class Listener(Protocol):
    """Who is told how jobs change; a context manager that owns the terminal meanwhile."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, job: Job) -> None:
        """A job as it is now."""

    def remove(self, job: Job) -> None:
        """A job that is gone."""

    def trouble(self, text: str) -> None:
        """The connection is lost, in kubectl's words; "" when it is back."""


class Silent:
    """Says nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to give back."""

    def show(self, job: Job) -> None:
        """Nothing."""

    def remove(self, job: Job) -> None:
        """Nothing."""

    def trouble(self, text: str) -> None:
        """Nothing."""


class Lines(Silent):
    """A line for each change that a person would see, for logs and pipes."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._said: dict[str, str] = {}

    def show(self, job: Job) -> None:
        """A line, unless it would say what the last one of this job said."""
        parts = [job.name, job.phase or "not seen yet"]
        if job.verdict:
            parts.append(job.verdict)
        elif job.stage and not job.ended:
            parts.append(job.stage + ("" if job.progress is None else f" {job.progress} %"))
        if job.message and (job.ended or not job.stage):
            parts.append(job.message)
        self._say(job.uid, "  ".join(parts))

    def remove(self, job: Job) -> None:
        """A line."""
        self._say(job.uid, f"{job.name}  deleted")

    def trouble(self, text: str) -> None:
        """A note when the connection is lost or back."""
        self._say("", f"connection lost, trying again: {text}" if text else "")

    def _say(self, key: str, text: str) -> None:
        if text and self._said.get(key) != text:
            (self._terminal.show_line if key else self._terminal.note)(text)
        self._said[key] = text


class _Picture(Silent, ABC):
    """A picture that is drawn again and again until the block ends, and then taken away."""

    def __init__(self, terminal: Terminal, clock: Callable[[], datetime]) -> None:
        self._terminal = terminal
        self._clock = clock
        self._trouble = ""
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self._live = Live(
            console=self._terminal.out, get_renderable=self._draw, refresh_per_second=_REFRESH, transient=True
        )
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()

    def trouble(self, text: str) -> None:
        """Drawn below the picture while it lasts."""
        self._trouble = text

    def _draw(self) -> RenderableType:
        picture = self.picture(self._clock())
        if not self._trouble:
            return picture
        return Group(picture, Text(f"connection lost, trying again: {self._trouble}", style="yellow"))

    @abstractmethod
    def picture(self, now: datetime) -> RenderableType:
        """What there is to see now."""


class OneJob(_Picture):
    """One job with its bar, its steps and its conditions."""

    def __init__(self, terminal: Terminal, clock: Callable[[], datetime]) -> None:
        super().__init__(terminal, clock)
        self._job: Job | None = None

    def show(self, job: Job) -> None:
        """Draw this from now on."""
        self._job = job

    def picture(self, now: datetime) -> RenderableType:
        """Headline, bar, steps, conditions."""
        job = self._job
        if job is None:
            return Text("asking the cluster ...", style="dim")
        known = job.progress is not None
        bar = Table.grid(padding=(0, 2, 0, 0))
        bar.add_row(
            ProgressBar(total=100, completed=job.progress or 0, width=_BAR, pulse=not known and job.phase == "Running"),
            Text(f"{job.progress} %" if known else ""),
            Text(times(job, now), style="dim"),
        )
        parts: list[RenderableType] = [headline(job), Padding(Group(bar, steps_line(job.steps)), (1, 0))]
        said = message_of(job)
        if said:
            parts.append(Text(said))
        return Group(*parts, *condition_lines(job, now, [said]))


class ManyJobs(_Picture):
    """A table of jobs: those that work first, as many as the terminal has lines."""

    def __init__(self, terminal: Terminal, clock: Callable[[], datetime], *, namespaces: bool) -> None:
        super().__init__(terminal, clock)
        self._namespaces = namespaces
        self._jobs: dict[str, Job] = {}

    def show(self, job: Job) -> None:
        """Draw this job so from now on."""
        self._jobs[job.uid] = job

    def remove(self, job: Job) -> None:
        """Draw it no more."""
        self._jobs.pop(job.uid, None)

    def picture(self, now: datetime) -> RenderableType:
        """Counts by phase, and the table."""
        jobs = sorted(self._jobs.copy().values(), key=_urgency)
        room = max(1, self._terminal.out.height - _AROUND)
        narrow = self._terminal.out.width < _WIDE_ENOUGH
        table = jobs_table(jobs[:room], now, namespaces=self._namespaces, bars=True, narrow=narrow)
        hidden = len(jobs) - room
        more = [Text(f"and {hidden} more", style="dim")] if hidden > 0 else []
        return Group(counts(jobs), Text(), table, *more)


def counts(jobs: list[Job]) -> Text:
    """How many jobs there are in each phase."""
    found: dict[str, int] = {}
    for job in jobs:
        found[job.phase or "not seen yet"] = found.get(job.phase or "not seen yet", 0) + 1
    line = Text(f"{len(jobs)} jobs" if len(jobs) != 1 else "1 job", style="bold")
    for phase, count in sorted(found.items()):
        line.append("  ").append_text(coloured(phase)).append(f" {count}", style="not bold")
    return line


def _urgency(job: Job) -> tuple[int, float, str]:
    order = {"Running": 0, "AwaitingReview": 1, "Pending": 2, "": 2, "Suspended": 3}
    # Of those that ended, the newest first: they are what somebody waits for.
    created = job.created
    return order.get(job.phase, 4), -(created.timestamp() if created else 0.0), job.name
