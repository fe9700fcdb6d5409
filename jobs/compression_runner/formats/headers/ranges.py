"""Read a file of a store in small ranges, to get headers without downloading weights."""

import io
from typing import Any, Final

from compression_runner.storage import Entry, Readable

BLOCK: Final = 64 << 10


class RangeReader:
    """Random access to one entry, a block at a time; the last block is cached, since headers are read in order."""

    def __init__(self, store: Readable, entry: Entry) -> None:
        self._store = store
        self.entry = entry
        self._start = 0
        self._block = b""

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`; fewer at the end of the file."""
        length = min(length, self.entry.size - offset)
        if length <= 0:
            return b""
        inside = self._start <= offset and offset + length <= self._start + len(self._block)
        if not inside:
            block_length = min(max(length, BLOCK), self.entry.size - offset)
            self._start, self._block = offset, self._store.read(self.entry.path, offset, block_length)
        begin = offset - self._start
        return self._block[begin : begin + length]


class RemoteFile(io.RawIOBase):
    """A seekable file in a store; reads only the ranges that zipfile needs."""

    def __init__(self, reader: RangeReader) -> None:
        super().__init__()
        self._reader, self._at = reader, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset from the start, the current position or the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._reader.entry.size}[whence]
        if base + offset < 0:
            raise OSError("an offset before the start of the file")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the current position, up to the end of the file."""
        content = self._reader.read(self._at, len(buffer))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)
