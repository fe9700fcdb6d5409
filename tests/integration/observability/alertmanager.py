"""A real Alertmanager on loopback, and the receiver that it tells."""

import json
import shutil
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from localcluster import debian, ports
from localcluster.servers import servers


@dataclass(frozen=True)
class Receiver:
    """Whoever is told: all that Alertmanager posted to its URL."""

    url: str
    posts: list[dict[str, Any]] = field(default_factory=list)

    def alerts(self) -> dict[str, dict[str, Any]]:
        """What was told of each alert last, by name."""
        return {alert["labels"]["alertname"]: alert for post in list(self.posts) for alert in post["alerts"]}


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Be a receiver until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}/alerts")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def start(receiver: Receiver) -> Iterator[str]:
    """Start an Alertmanager that tells the receiver at once; yields its address, and ends with the block."""
    debian.ensure(debian.PROMETHEUS)
    route = {"receiver": "test", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s"}
    hook = {"url": receiver.url, "send_resolved": True}
    with servers("alertmanager") as group:
        address = f"127.0.0.1:{ports.free()}"
        config = group.folder / "alertmanager.yaml"
        config.write_text(json.dumps({"route": route, "receivers": [{"name": "test", "webhook_configs": [hook]}]}))
        command = [
            shutil.which("prometheus-alertmanager") or "prometheus-alertmanager",
            f"--config.file={config}",
            f"--storage.path={group.folder / 'data'}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        group.start("alertmanager", command)
        group.wait("alertmanager", lambda: _is_ready(f"http://{address}/-/ready"))
        yield address


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
