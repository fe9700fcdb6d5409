"""Base images are pinned by the digest that a registry returns."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from images.pin import DOCKERFILES, Unresolved, main, pinned, pins, resolve

DIGEST = f"sha256:{'a' * 64}"
MANIFEST = b'{"schemaVersion": 2}'


class Registry(BaseHTTPRequestHandler):
    """A registry with one image that requires a token, like Docker Hub."""

    says_digest = True
    wants_token = True
    seen: list[tuple[str, str, str]] = []

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        kind = type(self)
        token = self.headers.get("Authorization", "")
        kind.seen.append((self.command, self.path, token))
        if self.path.startswith("/token"):
            self._send(200, {}, json.dumps({"token": "t-1"}).encode())
        elif kind.wants_token and token != "Bearer t-1":
            host = self.headers["Host"]
            challenge = f'Bearer realm="http://{host}/token",service="hub",scope="repository:library/python:pull"'
            self._send(401, {"WWW-Authenticate": challenge}, b"")
        elif self.path == "/v2/library/python/manifests/3.11-slim-bookworm":
            assert "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]
            self._send(200, {"Docker-Content-Digest": DIGEST} if kind.says_digest else {}, MANIFEST if body else b"")
        else:
            self._send(404, {}, b"")

    def _send(self, code: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def registry(*, says_digest: bool = True, wants_token: bool = True) -> Iterator[tuple[str, type[Registry]]]:
    """Run a registry on loopback; yield its URL, and the class that records requests."""
    kind = type("Own", (Registry,), {"says_digest": says_digest, "wants_token": wants_token, "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", kind
    finally:
        server.shutdown()
        server.server_close()


def dockerfile(folder: Path, base: str = "python:3.11-slim-bookworm") -> Path:
    path = folder / "operator.Dockerfile"
    path.write_text(f"# The operator.\nARG BASE={base}\n\nFROM ${{BASE}}\n")
    return path


def test_a_token_is_requested_from_the_server_that_the_registry_names() -> None:
    with registry() as (url, requests):
        assert resolve(url, "python", "3.11-slim-bookworm") == DIGEST
    assert [command for command, _, _ in requests.seen] == ["HEAD", "GET", "HEAD"]
    assert "scope=repository%3Alibrary%2Fpython%3Apull" in requests.seen[1][1]


def test_without_a_digest_header_the_manifest_is_hashed() -> None:
    with registry(says_digest=False, wants_token=False) as (url, _):
        digest = resolve(url, "python", "3.11-slim-bookworm")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    assert digest != DIGEST


def test_a_missing_tag_is_reported() -> None:
    with registry() as (url, _), pytest.raises(Unresolved, match=r"python:9\.9: .*404"):
        resolve(url, "python", "9.9")
    with pytest.raises(Unresolved, match="its URL is not https"):
        resolve("http://registry.example.com", "python", "3.11-slim-bookworm")


def test_dockerfiles_are_pinned_and_the_check_lists_differences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = dockerfile(tmp_path)
    with registry() as (url, _):
        options = ["--registry", url, "--folder", str(tmp_path)]
        assert main([*options, "--check"]) == 1
        assert capsys.readouterr().out == "operator.Dockerfile: differs\n"
        assert main(options) == 0
        assert f"ARG BASE=python:3.11-slim-bookworm@{DIGEST}\n" in path.read_text()
        assert main([*options, "--check"]) == 0
        dockerfile(tmp_path, "python:9.9")
        assert main(options) == 1
    assert "python:9.9" in capsys.readouterr().err


def test_a_new_digest_replaces_the_old_one() -> None:
    old, new = f"ARG BASE=python:3.11-slim-bookworm@{DIGEST}\n", f"sha256:{'b' * 64}"
    assert pinned(old, {("python", "3.11-slim-bookworm"): new}) == f"ARG BASE=python:3.11-slim-bookworm@{new}\n"


def test_every_external_base_and_every_tool_has_a_hash() -> None:
    texts = {path.name: path.read_text() for path in DOCKERFILES.glob("*.Dockerfile")}
    bases = {name: list(pins(text)) for name, text in texts.items()}
    assert {name for name, images in bases.items() if images} == {"operator.Dockerfile", "runner.Dockerfile"}
    assert all(digest for images in bases.values() for _, _, digest in images)
    for name, text in texts.items():
        installs = [line for line in text.splitlines() if "pip install" in line]
        joined = text.replace("\\\n", " ")
        assert joined.count("--require-hashes") == len(installs), name
        assert re.findall(r"^FROM (.*)$", text, re.MULTILINE), name
        assert all(line.startswith("${BASE}") for line in re.findall(r"^FROM (.*)$", text, re.MULTILINE)), name


@pytest.mark.parametrize("path", ["uv.txt", "engines/llm-compressor.txt", "engines/modelopt.txt", "engines/vllm.txt"])
def test_every_requirement_has_a_version_and_hashes(path: str) -> None:
    text = (DOCKERFILES / path).read_text().replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert requirements
    for line in requirements:
        assert re.match(r"[a-z0-9._-]+==\S+ +.*--hash=sha256:[0-9a-f]{64}", line), line[:80]


def test_the_images_and_the_setup_have_the_same_uv() -> None:
    setup = (DOCKERFILES.parent / "scripts" / "setup").read_text()
    version = re.search(r"^uv_version=(.*)$", setup, re.MULTILINE)
    assert version is not None
    assert (DOCKERFILES / "uv.txt").read_text().startswith(f"uv=={version[1]} ")
