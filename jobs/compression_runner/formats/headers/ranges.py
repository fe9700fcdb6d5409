"""Reads a file of a store in small ranges, so that headers are seen and weights stay where they are."""

from typing import Final

from compression_runner.storage import Entry, Readable

BLOCK: Final = 64 << 10


class RangeReader:
    """Random access to one entry, a block at a time; the last block is kept, as headers are read in order."""

    def __init__(self, store: Readable, entry: Entry) -> None:
        self._store = store
        self.entry = entry
        self._start = 0
        self._block = b""

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`; fewer than `length` where the file ends."""
        length = min(length, self.entry.size - offset)
        if length <= 0:
            return b""
        inside = self._start <= offset and offset + length <= self._start + len(self._block)
        if not inside:
            wanted = min(max(length, BLOCK), self.entry.size - offset)
            self._start, self._block = offset, self._store.read(self.entry.path, offset, wanted)
        begin = offset - self._start
        return self._block[begin : begin + length]
