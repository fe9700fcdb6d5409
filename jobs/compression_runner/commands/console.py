"""A console that shows text from outside as text."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from compressionjob.plain_text import plain


class PlainConsole(Console):
    """A console of rich whose texts hold nothing that a terminal obeys; only rich itself moves cursor and colours."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the pieces of an object, as plain text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)
