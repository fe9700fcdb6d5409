"""Stop the servers of a test when the test process ends, even by kill -9.

The script's argument is the folder of the servers; its standard input is a pipe from the test process. When the pipe
closes, it kills its process group, which the servers have joined, and removes the folder. Unlike PR_SET_PDEATHSIG this
does not depend on the thread that started it.
"""

import contextlib
import os
import shutil
import signal
import sys
import time

_WAIT_SECONDS = 10.0


def main() -> None:
    """Wait for the end of the test process, then kill the group and remove the folder."""
    folder = sys.argv[1]
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    group = os.getpgid(0)
    # The process that cleans up must survive the group.
    if os.fork() == 0:
        os.setsid()
        # After a normal end the test has killed its servers, and the watcher was the last process of the group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        deadline = time.monotonic() + _WAIT_SECONDS
        while os.path.exists(folder) and time.monotonic() < deadline:  # noqa: PTH110 - pathlib doubles the start time
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.05)


if __name__ == "__main__":
    main()
