"""The HTTP server of a running pod: /metrics, /progress, /healthz."""

import logging
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST

from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.progress import RunProgress
from compressionjob.pod_interface import HEALTH_PATH, METRICS_PATH, PORT, PROGRESS_PATH

LOG: Final = logging.getLogger(__name__)
JSON: Final = "application/json"
Route = tuple[str, Callable[[], bytes]]


def serve(progress: RunProgress, metrics: RunMetrics, port: int = PORT, host: str = "") -> ThreadingHTTPServer:
    """Start a server thread on all addresses, or on `host`; it ends with the process.

    The port is in `server_address` of the result.
    """
    routes: dict[str, Route] = {
        METRICS_PATH: (CONTENT_TYPE_LATEST, metrics.expose),
        PROGRESS_PATH: (JSON, lambda: progress.snapshot().model_dump_json(by_alias=True).encode()),
        HEALTH_PATH: ("text/plain", lambda: b"ok\n"),
    }
    server = _Server((host, port), _handler(routes))
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Log an error in the format of the pod's log. A client that closes its connection causes none."""
        if not isinstance(sys.exception(), OSError):
            LOG.exception("a request was not answered")


def _handler(routes: Mapping[str, Route]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # a silent client must not hold a thread

        def do_GET(self) -> None:
            """Serve one of the routes."""
            route = routes.get(self.path.split("?", 1)[0])
            if route is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            kind, content = route[0], route[1]()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Do not log requests: there is one every few seconds."""

    return Handler
