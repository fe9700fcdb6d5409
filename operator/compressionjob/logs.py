"""Log lines of the operator and of its pods. JSON lines have one schema, so that one query matches both."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

from compressionjob.plain_text import plain, plain_json

FIELDS: Final = (
    "namespace", "job", "phase", "part", "stage", "method", "progress", "seconds", "reason", "field", "value",
    "identity",
)  # fmt: skip
"""Fields that a log call may add with ``extra``: namespace and name of the CompressionJob, and details."""


class JsonFormatter(logging.Formatter):
    """Format a record as one line of JSON: time, level, logger, message, its FIELDS, and the text of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return plain_json(json.dumps(line, ensure_ascii=False, default=str))


class TextFormatter(logging.Formatter):
    """Format a record as a line of text without terminal control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record."""
        return plain(super().format(record))
