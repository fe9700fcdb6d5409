"""Noticing that a kind was listed again: what was deleted in the gap between two watches, neither of them tells."""

import asyncio


class Relists:
    """Follows kopf's requests; ``again`` is set when the watch after a repeated list has begun."""

    def __init__(self) -> None:
        self.again = asyncio.Event()
        self._watched: set[str] = set()
        self._listed_again: set[str] = set()

    def answered(self, path: str, watching: bool, status: int) -> None:
        """Take note of an answer to a list or a watch."""
        if not watching:
            if path in self._watched:
                self._listed_again.add(path)
        elif status == 200:
            self._watched.add(path)
            if path in self._listed_again:
                self._listed_again.discard(path)
                self.again.set()
