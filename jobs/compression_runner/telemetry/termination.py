"""The termination message of a pod, which the kubelet keeps for the operator."""

import os
import signal
import threading
from pathlib import Path

from compressionjob.exit_codes import ExitCode
from compressionjob.pod_interface import TERMINATION_LOG
from compressionjob.report import Summary


def leave_message(summary: Summary, place: Path = Path(TERMINATION_LOG)) -> None:
    """Write the summary to the termination log; do nothing outside of a pod, where that file is missing."""
    if place.exists():
        place.write_text(summary.to_message())


def exit_on_sigterm() -> None:
    """Exit with 143 immediately after SIGTERM, even during a long library call.

    A Python signal handler alone would run only after that call. No cleanup is necessary: an incomplete directory has
    no artifact.json, and the next run completes it.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(ExitCode.TERMINATED))
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wait() -> None:
        while signals := os.read(reader, 16):
            if signal.SIGTERM in signals:
                os._exit(ExitCode.TERMINATED)

    threading.Thread(target=wait, name="sigterm", daemon=True).start()
