"""A terminal that keeps variables and the current folder between commands."""

import os
import pty
import re
import select
import shlex
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

QUESTION: Final = re.compile(r"\[y/N\] $")
# Each line names a file with a command. `$?` is the status of the previous command. Ctrl-C ends only the command.
LOOP: Final = r"""
trap : INT
last=0
while read -r script <&3; do
  (exit $last); . "$script"; last=$?
  printf '%s\n' "$last" >&4
done
"""
INTERRUPT: Final = b"\x03"
ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Escape sequences for bold text and cursor movements."""


@dataclass(frozen=True)
class Typed:
    """Exit status and output of a command."""

    status: int
    shown: str


class Terminal:
    """A bash in a pseudo-terminal. It answers questions with yes."""

    def __init__(self, folder: Path, scratch: Path, environment: Mapping[str, str]) -> None:
        self._scratch = scratch / "command"
        self._screen, screen = pty.openpty()
        settings = termios.tcgetattr(screen)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(screen, termios.TCSANOW, settings)
        termios.tcsetwinsize(screen, (60, 220))
        commands, self._commands = os.pipe()
        self._statuses, statuses = os.pipe()
        # `setsid --ctty` makes this the shell's controlling terminal, so that Ctrl-C reaches its commands. They would
        # ignore it if this process does, as one that a script starts in the background.
        shell = f"exec 3<&{commands} 4>&{statuses}; exec bash --noprofile --norc -c {shlex.quote(LOOP)}"
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "env", "--default-signal=INT", "bash", "-c", shell],
            cwd=folder, env=environment, stdin=screen, stdout=screen, stderr=screen, pass_fds=(commands, statuses),
        )  # fmt: skip
        for descriptor in (screen, commands, statuses):
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._commands)
        os.close(self._screen)
        self._process.kill()
        self._process.wait()
        os.close(self._statuses)

    def type(self, command: str, seconds: float, enough: Callable[[str], bool] = lambda _shown: False) -> Typed:
        """Type a command and wait until it ends. Send Ctrl-C when `enough` accepts its output.

        Raises TimeoutError with the output so far.
        """
        self._scratch.write_text(command + "\n")
        os.write(self._commands, f"{self._scratch}\n".encode())
        shown, interrupted, end = "", 0.0, time.monotonic() + seconds
        while time.monotonic() < end:
            ready, _, _ = select.select([self._screen, self._statuses], [], [], 1.0)
            if self._screen in ready:
                shown += os.read(self._screen, 65536).decode(errors="replace").replace("\r\n", "\n")
                if QUESTION.search(ESCAPES.sub("", shown)):
                    os.write(self._screen, b"y\n")
                    shown += "\n"
            elif self._statuses in ready:
                status = int(os.read(self._statuses, 16))
                return Typed(0 if interrupted else status, ESCAPES.sub("", shown))
            # Repeat Ctrl-C, since the first one may come before the program has started.
            if time.monotonic() > interrupted + 1.0 and enough(shown):
                os.write(self._screen, INTERRUPT)
                interrupted = time.monotonic()
        os.write(self._screen, INTERRUPT)
        raise TimeoutError(f"`{command}` did not end within {seconds:.0f} s:\n{shown}")
