"""Ends the servers of a test when the test is gone, however it went.

Run as a script with the folder of the servers; its standard input is a pipe from the owner. When the pipe closes, every
process of the watcher's process group (the servers join it) is killed and the folder removed. The kernel closes the
pipe even after kill -9 of the owner, and unlike PR_SET_PDEATHSIG this does not depend on the thread that started it.
"""

import contextlib
import os
import shutil
import signal
import sys
import time

_WAIT_SECONDS = 10.0


def main() -> None:
    """Wait for the owner's end, then kill the group and remove the folder."""
    folder = sys.argv[1]
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    group = os.getpgid(0)
    # The one that cleans up must outlive the group.
    if os.fork() == 0:
        os.setsid()
        # In an orderly end the owner killed its servers itself, and the watcher was the last of the group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        deadline = time.monotonic() + _WAIT_SECONDS
        while os.path.exists(folder) and time.monotonic() < deadline:  # noqa: PTH110 - pathlib doubles the start time
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.05)


if __name__ == "__main__":
    main()
