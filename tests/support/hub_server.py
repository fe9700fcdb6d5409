"""A server with the read API of the Hugging Face Hub for a folder with ORG/NAME/files, one commit each.

Large files (git LFS) are redirected to another address, as on the Hub. Source: https://huggingface.co/docs/hub/api.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

LARGE = 4096
"""Files from this size are in LFS."""


@dataclass
class Hub:
    """The server's state, which tests can change."""

    root: Path
    token: str | None = None
    """Required token. If it is set, all repositories are private."""
    gated: bool = False
    cut_after: int | None = None
    """Bytes after which each download is cut."""
    failing: int = 0
    """Number of requests that first get 503."""
    ranges: bool = True
    damaged: bool = False
    stall: float = 0.0
    """Seconds that a download waits before the connection is closed without content."""
    redirect: str = ""
    """Another server to which every request is redirected."""
    listed_as: dict[str, str] = field(default_factory=dict)
    """Names of files in the repository -> the names that the list has instead."""
    url: str = ""
    requests: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    """Authorization header of each request, including redirected ones."""

    def commit(self, repository: str) -> str:
        digest = hashlib.sha1(usedforsecurity=False)
        for file in self.files(repository):
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def files(self, repository: str) -> list[Path]:
        return sorted(file for file in (self.root / repository).rglob("*") if file.is_file())


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlparse(self.path).path).strip("/")
        self.hub.requests.append(path)
        self.hub.tokens.append(self.headers.get("Authorization"))
        if self.hub.redirect:
            return self._redirect()
        if self.hub.failing > 0:
            self.hub.failing -= 1
            return self._error(503, "", "overloaded")
        parts = path.split("/")
        if parts[0] == "cdn":
            return self._content(self.hub.root / "/".join(parts[1:]))
        if parts[0] == "api":
            return self._api(parts[1:])
        return self._resolve(parts[1:] if parts[0] == "datasets" else parts)

    def _api(self, parts: list[str]) -> None:
        repository, revision = "/".join(parts[1:3]), "/".join(parts[4:]) or "main"
        if not self._allowed(repository, revision):
            return
        siblings = []
        for file in self.hub.files(repository):
            content = file.read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            name = file.relative_to(self.hub.root / repository).as_posix()
            sibling: dict[str, Any] = {
                "rfilename": self.hub.listed_as.get(name, name),
                "size": len(content),
                "blobId": blob,
            }
            if len(content) >= LARGE:
                sha256 = hashlib.sha256(content).hexdigest()
                sibling["lfs"] = {"size": len(content), "sha256": sha256, "pointerSize": 134}
            siblings.append(sibling)
        self._json({"id": repository, "sha": self.hub.commit(repository), "siblings": siblings})

    def _resolve(self, parts: list[str]) -> None:
        repository, revision, path = "/".join(parts[:2]), parts[3], "/".join(parts[4:])
        if not self._allowed(repository, revision):
            return
        file = self.hub.root / repository / path
        if not file.is_file():
            return self._error(404, "EntryNotFound", "Entry not found")
        if file.stat().st_size >= LARGE:
            # "localhost" is another origin than 127.0.0.1, so the client must not send its token there.
            address = self.hub.url.replace("127.0.0.1", "localhost")
            self.send_response(302)
            self.send_header("Location", f"{address}/cdn/{repository}/{path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._content(file)

    def _allowed(self, repository: str, revision: str) -> bool:
        if self.hub.token is not None and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._error(401, "RepoNotFound", "Repository not found")
        elif not (self.hub.root / repository).is_dir():
            self._error(404, "RepoNotFound", "Repository not found")
        elif self.hub.gated:
            self._error(403, "GatedRepo", "Access to this model is restricted")
        elif revision not in ("main", self.hub.commit(repository)):
            self._error(404, "RevisionNotFound", "Invalid rev id")
        else:
            return True
        return False

    def _content(self, file: Path) -> None:
        content = file.read_bytes()
        if self.hub.damaged:
            content = bytes([content[0] ^ 1]) + content[1:]
        start, until, status = 0, len(content), 200
        requested = self.headers.get("Range")
        if requested and self.hub.ranges:
            first, _, last = requested.removeprefix("bytes=").partition("-")
            start, until, status = int(first), min(len(content), int(last) + 1), 206
        self.send_response(status)
        self.send_header("Content-Length", str(until - start))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{until - 1}/{len(content)}")
        self.end_headers()
        sent = content[start:until]
        if self.hub.stall:
            time.sleep(self.hub.stall)
            self.close_connection = True
            return
        if self.hub.cut_after is not None and len(sent) > self.hub.cut_after:
            self.wfile.write(sent[: self.hub.cut_after])
            self.close_connection = True
            return
        self.wfile.write(sent)

    def _redirect(self) -> None:
        self.send_response(307)
        self.send_header("Location", self.hub.redirect + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _error(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(root: Path, host: str = "127.0.0.1") -> Iterator[Hub]:
    """Run a server for `root` at a local address."""
    hub = Hub(root)
    server = ThreadingHTTPServer((host, 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
