"""Configure log lines: JSON in a pod, plain text on a terminal."""

import logging
import sys
from typing import Final

from compression_runner.telemetry.phase import Phase
from compressionjob.logs import JsonFormatter, TextFormatter
from compressionjob.report import Progress

LOG: Final = logging.getLogger("compression_runner")


def configure(*, as_json: bool) -> None:
    """Send log lines to standard error; from libraries only warnings and errors."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter("%(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    LOG.setLevel(logging.INFO)
    logging.captureWarnings(True)


class LogListener:
    """Logs the beginning and the end of each phase."""

    def started(self, phase: Phase, progress: Progress) -> None:
        """Log the beginning."""
        about = {"stage": phase.title, "method": phase.method, "progress": round(progress.fraction, 3)}
        LOG.info("[%d/%d] %s", progress.index, progress.total, phase.title, extra=about)

    def advanced(self, progress: Progress, within: float) -> None:
        """Do nothing: /progress has it."""

    def failed(self, phase: Phase, seconds: float, progress: Progress) -> None:
        """Log the failure."""
        about = {"stage": phase.title, "method": phase.method, "seconds": round(seconds, 3)}
        LOG.error("[%d/%d] %s failed after %.1f s", progress.index, progress.total, phase.title, seconds, extra=about)

    def ended(self, phase: Phase, seconds: float, progress: Progress) -> None:
        """Log the end."""
        about = {"stage": phase.title, "method": phase.method, "seconds": round(seconds, 3)}
        about["progress"] = round(progress.fraction, 3)
        LOG.info("[%d/%d] %s done in %.1f s", progress.index, progress.total, phase.title, seconds, extra=about)
