"""A TCP proxy that breaks connections on request, like a failing server or network."""

import socket
import threading
import time
from contextlib import suppress

BLOCK = 64 << 10


class CuttingProxy:
    """Forwards to a server; after `cut_after` bytes from clients, drops all connections and refuses new ones."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._forwarded = 0
        self.cut_after: int | None = None
        self.delay = 0.0
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """URL to give to a client."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def arm(self, cut_after: int | None) -> None:
        """Start counting; None lets everything pass."""
        with self._lock:
            self._forwarded, self.cut_after = 0, cut_after

    def close(self) -> None:
        """End the proxy."""
        self._listener.close()
        self._drop()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.cut_after is not None and self._forwarded >= self.cut_after:
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                self._connections += [client, server]
                threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while block := source.recv(BLOCK):
                if counted and self._count(len(block)):
                    self._drop()
                    return
                time.sleep(self.delay)
                sink.sendall(block)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _count(self, length: int) -> bool:
        with self._lock:
            self._forwarded += length
            cut = self.cut_after is not None and self._forwarded >= self.cut_after
            self.cuts += cut
            return cut

    def _drop(self) -> None:
        for connection in self._connections:
            with suppress(OSError):
                # A reset, not an orderly end.
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._connections = []
