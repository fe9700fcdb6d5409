"""The log lines of the operator and of its pods. JSON has one schema, so that one query finds both."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

from compressionjob.plain_text import plain, plain_json

FIELDS: Final = (
    "namespace", "job", "phase", "part", "stage", "method", "progress", "seconds", "reason", "field", "value",
    "identity",
)  # fmt: skip
"""What a log call may add by ``extra``: namespace and name of the CompressionJob, and what the line is about."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what the record has of FIELDS, and an exception's text."""

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
    """A line for people, without what a terminal obeys."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record."""
        return plain(super().format(record))
