"""A progress bar for each phase, on a terminal."""

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from compression_runner.telemetry.phase import Phase
from compressionjob import report


class ConsoleListener:
    """Shows one bar for each phase; `close` releases the terminal."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=32),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
            console=console,
        )
        self._phase: TaskID | None = None
        self._bars.start()

    def close(self) -> None:
        """Stop drawing."""
        self._bars.stop()

    def started(self, phase: Phase, progress: report.Progress) -> None:
        """Add a bar."""
        self._phase = self._bars.add_task(phase.title, total=1.0, detail="")

    def advanced(self, progress: report.Progress, within: float) -> None:
        """Move the bar of the current phase."""
        if self._phase is not None:
            self._bars.update(self._phase, completed=within, detail=progress.detail)

    def failed(self, phase: Phase, seconds: float, progress: report.Progress) -> None:
        """Stop the bar, and mark it as failed."""
        if self._phase is not None:
            self._bars.update(self._phase, description=f"[red]✗ {escape(phase.title)}", detail="failed")
            self._bars.stop_task(self._phase)
            self._phase = None

    def ended(self, phase: Phase, seconds: float, progress: report.Progress) -> None:
        """Fill the bar."""
        if self._phase is not None:
            self._bars.update(self._phase, completed=1.0, detail="")
            self._bars.stop_task(self._phase)
            self._phase = None
