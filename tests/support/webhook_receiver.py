"""A receiver of notifications: a real HTTP server on loopback that records requests and returns set status codes."""

import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Delivered:
    """One request and the status code of its response."""

    path: str
    headers: dict[str, str]
    body: bytes
    code: int

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent in the body."""
        event: dict[str, Any] = json.loads(self.body)
        return event


@dataclass
class WebhookReceiver:
    """The server's state, which tests can change. Responses have the codes ``answers``, and then always ``code``."""

    url: str = ""
    code: int = 204
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    slow: float = 0.0
    """Seconds before it responds."""
    requests: list[Delivered] = field(default_factory=list)

    def taken(self) -> list[Delivered]:
        """Return the requests that it accepted."""
        return [item for item in self.requests if 200 <= item.code < 300]

    def ids(self) -> Counter[str]:
        """Return how often it accepted each id."""
        return Counter(item.headers["webhook-id"] for item in self.taken())

    def events(self, job: str = "") -> list[str]:
        """Return the accepted events in order, of one job if it is named."""
        accepted = [item.event["data"] for item in self.taken()]
        return [data["event"] for data in accepted if job in ("", data["job"]["name"])]


@contextmanager
def receiving(tls: ssl.SSLContext | None = None, port: int = 0, **state: Any) -> Iterator[WebhookReceiver]:
    """Run a receiver until the block ends. Afterwards no server listens at its address."""
    receiver = WebhookReceiver(**state)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(receiver.slow)
            code = receiver.answers.pop(0) if receiver.answers else receiver.code
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.requests.append(Delivered(self.path, headers, body, code))
            self.send_response(code)
            length = {"Content-Length": str(len(receiver.body))} if code != 204 else {}
            for name, value in {**length, **receiver.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if code != 204:
                self.wfile.write(receiver.body)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass  # the sender closed the connection, or does not trust the certificate

    server = Server(("127.0.0.1", port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
