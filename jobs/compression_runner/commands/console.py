"""A console that neutralizes control sequences and markup in untrusted text."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from compressionjob.plain_text import plain


class PlainConsole(Console):
    """A rich console whose texts contain no control sequences; only rich itself sets cursor and colours.

    Texts have no markup such as [red] or [link=...], and no emoji codes: pass a `Text` where a style is wanted.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, **options})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the segments of an object, as plain text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)
