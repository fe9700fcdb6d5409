"""Log lines: JSON for machines, text for people."""

import logging
from typing import Literal

from compressionjob.logs import JsonFormatter, TextFormatter


class JobTextFormatter(TextFormatter):
    """One line for people, with the job's name where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(prefix)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record."""
        job, namespace = getattr(record, "job", None), getattr(record, "namespace", None)
        record.prefix = f"[{namespace}/{job}] " if job and namespace else f"[{job}] " if job else ""
        return super().format(record)


def configure(style: Literal["json", "text"], level: str) -> None:
    """Send all log lines to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else JobTextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level != "debug":
        # kopf tells of every reconnect and login; only its troubles are news.
        logging.getLogger("kopf").setLevel(logging.WARNING)
