"""Output of the plugin: results on stdout, notes and questions on stderr; plain text if the stream is not a terminal.

All output of the plugin passes through this module, which removes escape sequences (``compressionjob.plain_text``).
"""

import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from compressionjob.plain_text import plain, plain_json
from kubectl_compress.display.console import PlainConsole
from kubectl_compress.errors import InvalidManifest, PluginError

_WIDE: Final = 2000
"""Columns without a terminal: lines are neither wrapped nor cut."""

COLOURS: Final = {
    "Pass": "green", "Fail": "red", "Inconclusive": "yellow", "NoLimits": "cyan",
    "Succeeded": "green", "Failed": "red", "Running": "cyan", "AwaitingReview": "yellow", "Suspended": "magenta",
}  # fmt: skip


@dataclass(frozen=True)
class Terminal:
    """The output streams of a command; ``interactive`` if it can ask for confirmation."""

    out: PlainConsole
    notes: PlainConsole
    interactive: bool

    @classmethod
    def of_process(cls) -> Self:
        """Return a terminal for the process's own streams."""
        interactive = sys.stdin.isatty() and sys.stderr.isatty()
        return cls(_console(stderr=False), _console(stderr=True), interactive)

    def show(self, *parts: RenderableType) -> None:
        """Print results."""
        _print(self.out, parts)

    def show_json(self, value: Any) -> None:
        """Print JSON, as kubectl does."""
        self.out.file.write(plain_json(json.dumps(value, indent=2, ensure_ascii=False)) + "\n")

    def show_line(self, text: str) -> None:
        """Print one line without wrapping."""
        self.out.file.write(f"{plain(text)}\n")
        self.out.file.flush()

    def note(self, *parts: RenderableType) -> None:
        """Print a note, which is not part of the result."""
        _print(self.notes, [Text(part) if isinstance(part, str) else part for part in parts])

    def explain(self, error: PluginError) -> None:
        """Print an error and its remedy."""
        line = Text("error: ", style="bold red").append(error.problem, style="default not bold")
        self.notes.print(line, soft_wrap=True)
        for problem in error.problems if isinstance(error, InvalidManifest) else ():
            self.notes.print(Text("  ").append(problem.field, style="bold").append(problem.sentence), soft_wrap=True)
        if error.remedy:
            self.notes.print(Text("to do: ", style="bold").append(error.remedy, style="not bold"), soft_wrap=True)

    def confirmed(self, question: str) -> bool:
        """Ask for confirmation; return True for y or yes."""
        self.notes.print(Text(f"{question} [y/N] ", style="bold"), end="", soft_wrap=True)
        self.notes.file.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def _print(console: PlainConsole, parts: Sequence[RenderableType]) -> None:
    """Print parts one below the other; without a terminal, strip trailing spaces."""
    if console.is_terminal:
        _print_parts(console, parts)
        return
    buffer = io.StringIO()
    _print_parts(PlainConsole(file=buffer, width=console.width, highlight=False, markup=False, emoji=False), parts)
    console.file.write("".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines()))


def _print_parts(console: PlainConsole, parts: Sequence[RenderableType]) -> None:
    for part in parts:
        if isinstance(part, Group):
            _print_parts(console, part.renderables)
        elif isinstance(part, Table) and part.show_header:
            # As in kubectl, a line may be longer than the terminal: a name that is cut cannot be copied.
            _wide(console).print(part, crop=False, soft_wrap=True)
        else:
            console.print(part)


def _wide(console: PlainConsole) -> PlainConsole:
    """Return a console for the same stream with very long lines."""
    wide = PlainConsole(
        file=console.file,
        force_terminal=console.is_terminal,
        highlight=False,
        markup=False,
        emoji=False,
        width=_WIDE,
        height=console.height,
    )
    wide.no_color = console.no_color
    return wide


def _console(*, stderr: bool) -> PlainConsole:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def coloured(word: str) -> Text:
    """Return a verdict or a phase as coloured text."""
    return Text(word, style=COLOURS.get(word, ""))


def age(since: datetime | None, now: datetime) -> str:
    """Return an age in kubectl's format: 45s, 5m, 3h20m, 2d; "" for None."""
    if since is None:
        return ""
    return span((now - since) / timedelta(seconds=1))


def span(seconds: float) -> str:
    """Return a duration in one or two units: 45s, 3m20s, 50m, 3h20m, 2d."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if hours < 2:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if days < 2:
        return f"{hours}h"
    return f"{days}d"


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def resource_name(item: Mapping[str, Any]) -> str:
    """Return KIND.GROUP/NAME of an object, as kubectl prints it."""
    group = str(item["apiVersion"]).split("/", 1)[0]
    return f"{str(item['kind']).lower()}.{group}/{item['metadata']['name']}"
