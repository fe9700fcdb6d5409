"""Formats of log lines: JSON for machines, text for people."""

import logging
from typing import Literal

from compressionjob.logs import JsonFormatter, TextFormatter


class JobTextFormatter(TextFormatter):
    """One line of text, with the job's name if the record has one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(prefix)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record."""
        job, namespace = getattr(record, "job", None), getattr(record, "namespace", None)
        record.prefix = f"[{namespace}/{job}] " if job and namespace else f"[{job}] " if job else ""
        return super().format(record)


def configure(style: Literal["json", "text"], level: str) -> None:
    """Send all log lines to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else JobTextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level != "debug":
        # kopf logs each reconnect and login: show only its warnings.
        logging.getLogger("kopf").setLevel(logging.WARNING)
