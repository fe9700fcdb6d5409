"""Detect repeated lists of a kind: no watch reports objects that were deleted between two watches."""

import asyncio


class Relists:
    """Observes kopf's requests; ``again`` is set when the watch after a repeated list has begun."""

    def __init__(self) -> None:
        self.again = asyncio.Event()
        self._watched: set[str] = set()
        self._listed_again: set[str] = set()

    def answered(self, path: str, watching: bool, status: int) -> None:
        """Record a response to a list or a watch."""
        if not watching:
            if path in self._watched:
                self._listed_again.add(path)
        elif status == 200:
            self._watched.add(path)
            if path in self._listed_again:
                self._listed_again.discard(path)
                self.again.set()
