"""A server as a process: start it, wait until it is healthy, and end it with all of its processes."""

import http.client
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

GUARD: Final = Path(__file__).parent / "guard.py"
HOST: Final = "127.0.0.1"
HEALTH: Final = "/health"
EVERY: Final = 0.25
"""Seconds between two questions whether the server is healthy."""
END_SECONDS: Final = 20.0
MAX_CAUSE: Final = 300
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens addresses of this machine, which no proxy of the environment (HTTP_PROXY) can reach."""
_ERROR: Final = re.compile(r"\b((?:[A-Za-z_][\w.]*\.)?[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit)): *(\S.*)")
_NO_ERROR: Final = re.compile(r"\b(WARNING|INFO|DEBUG)\b")
"""A line of another level; a warning may mention an error that could come."""
_SYMPTOM: Final = re.compile(
    r"Engine core (proc\w* )?(initialization )?(failed|died)|EngineDeadError|cancelled", re.IGNORECASE
)
"""Errors that only repeat that another process of the server failed."""
_NO_LIBRARY: Final = re.compile(r"\b(lib[\w.+-]+\.so[\w.]*): cannot open shared object file")
"""A compiled module that is not loaded; an engine may only warn, and fail later where it needs the module."""


class ServerFailedError(RuntimeError):
    """A server ended before it was healthy, or did not become healthy in time; the message is its cause in one line."""


class StatusError(OSError):
    """A server answered with a status of errors; the message is the status and its own words, in one line."""


@dataclass(frozen=True)
class Command:
    """The command of a server: `arguments` in which {port} stands for its port, and its whole environment."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    start_seconds: float


class ServerProcess:
    """A running server. `session` is the id of the session of all of its processes."""

    def __init__(self, command: Command) -> None:
        """Start the server, and wait until it is healthy. Raises ServerFailedError."""
        self.log = command.log
        self.url = f"http://{HOST}:{(port := free_port())}"
        arguments = [argument.replace("{port}", str(port)) for argument in command.arguments]
        began = time.monotonic()
        with command.log.open("ab") as output:
            self._log_start = output.tell()
            # -I: the guard needs no packages, and nothing of the environment may change what it does.
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(command.environment),
                start_new_session=True,
            )
        self.session = self._guard.pid
        try:
            self._wait(began + command.start_seconds)
        except BaseException:
            self.end()
            raise
        self.start_seconds = time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def running(self) -> bool:
        """Whether the server still runs."""
        return self._guard.poll() is None

    def own_log(self) -> str:
        """Return what this process has written: earlier servers with the same command may have used the file too."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def end(self) -> None:
        """End the server and its processes."""
        if self._guard.stdin:
            with suppress(BrokenPipeError):
                self._guard.stdin.close()
        try:
            self._guard.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()

    def _wait(self, until: float) -> None:
        while not healthy(self.url):
            if not self.running:
                raise ServerFailedError(cause_in(self.own_log()))
            if time.monotonic() > until:
                raise ServerFailedError(f"it was not healthy in time; its last line: {last_line(self.own_log())}")
            time.sleep(EVERY)


def healthy(url: str) -> bool:
    """Return whether a server answers that it can serve."""
    try:
        read(f"{url}{HEALTH}", timeout=5)
    except (OSError, http.client.HTTPException):
        return False
    return True


def read(url: str, timeout: float, body: Any = None) -> bytes:
    """Return the answer of a server on this machine to a GET request, or to a POST request with a JSON `body`.

    Raises StatusError for a status of errors, OSError without an answer, or HTTPException.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} if data else {})
    try:
        with _DIRECT.open(request, timeout=timeout) as response:
            content: bytes = response.read()
    except urllib.error.HTTPError as error:
        with error:
            raise StatusError(f"status {error.code}: {_own_words(error.read()) or 'no message'}") from error
    return content


def _own_words(body: bytes) -> str:
    """Return the message of an OpenAI-compatible server's error, or its text, in one line."""
    text = body.decode(errors="replace")
    with suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["error"]["message"])
    return " ".join(text.split())[:MAX_CAUSE]


def cause_in(log: str) -> str:
    """Return the error in a server's log that ended it, in one line: the first that is no consequence of another."""
    if error := error_in(log):
        return error
    lines = [line for line in log.splitlines() if line.strip()]
    return " ".join((lines[-1] if lines else "it wrote nothing").split())[:MAX_CAUSE]


def error_in(log: str) -> str:
    """Return the first error in a server's log that is no consequence of another, in one line; empty without one."""
    lines = [line for line in log.splitlines() if line.strip()]
    matches = [
        f"{match[1].rsplit('.', 1)[-1]}: {match[2]}"
        for line in lines
        if not _NO_ERROR.search(line) and (match := _ERROR.search(line))
    ]
    causes = [text for text in matches if not _SYMPTOM.search(text)] or matches
    cause = causes[0] if causes else ""
    lacking = dict.fromkeys(name for line in lines for name in _NO_LIBRARY.findall(line) if name not in cause)
    missing = f"its environment lacks {', '.join(lacking)}" if lacking else ""
    return " ".join("; ".join(filter(None, (missing, cause))).split())[:MAX_CAUSE]


def last_line(log: str) -> str:
    """Return the last line of a log; "none" for an empty one."""
    lines = [line for line in log.splitlines() if line.strip()]
    return " ".join(lines[-1].split())[:MAX_CAUSE] if lines else "none"


def free_port() -> int:
    """Return a port of the loopback interface that no process uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
