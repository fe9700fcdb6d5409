"""Log lines: JSON for machines, text for people."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final, Literal

_FIELDS: Final = ("job", "phase", "identity")
"""What log calls may add by ``extra``."""


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """One line for people, with the job's name where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(prefix)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record."""
        job = getattr(record, "job", None)
        record.prefix = f"[{job}] " if job else ""
        return super().format(record)


def configure(style: Literal["json", "text"], level: str) -> None:
    """Send all log lines to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level != "debug":
        # kopf tells of every reconnect and login; only its troubles are news.
        logging.getLogger("kopf").setLevel(logging.WARNING)
