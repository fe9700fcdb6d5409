"""Run a server until standard input ends, and end all of its processes then.

`python guard.py COMMAND...`. The runner holds the other end of standard input. It ends when the runner closes it, and
also when the runner is killed, so no server survives the runner. It uses the standard library alone and imports nothing
of this package.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

END_SECONDS = 10.0
"""Seconds that a server may take to end by itself."""


def main(command: list[str]) -> int:
    """Run the command in a process group of its own; return its exit status, 0 if it was ended from here."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    ended, write = os.pipe()
    os.set_blocking(write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    while server.poll() is None:
        readable, _, _ = select.select([sys.stdin.buffer, ended], [], [])
        if ended in readable:
            os.read(ended, 512)
        if sys.stdin.buffer in readable and not os.read(sys.stdin.fileno(), 512):
            end(server)
            return 0
    kill(server.pid, signal.SIGKILL)
    return server.returncode


def end(server: subprocess.Popen[bytes]) -> None:
    """Ask the group of processes to end, and kill it if it does not."""
    kill(server.pid, signal.SIGTERM)
    until = time.monotonic() + END_SECONDS
    while server.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    kill(server.pid, signal.SIGKILL)
    server.wait()


def kill(group: int, number: signal.Signals) -> None:
    """Send a signal to a group of processes that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
