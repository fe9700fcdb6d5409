"""Operator and pods have the same schema of log lines."""

import json
import logging
import sys
from collections.abc import Callable

import pytest

import compression_operator.telemetry.logs
import compression_runner.telemetry.logs
from compression_operator.records.job import JobRecord
from compressionjob.logs import JsonFormatter, TextFormatter
from tests.support.operator.builders import raw_job


def test_log_lines_are_json_with_the_fields_of_the_record() -> None:
    record = logging.LogRecord("compression_runner", logging.ERROR, __file__, 1, "it %s", ("broke",), None)
    record.field, record.reason = "spec.model.source", "TruncatedFile"
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == "it broke"
    assert line["level"] == "error"
    assert (line["field"], line["reason"]) == ("spec.model.source", "TruncatedFile")


@pytest.mark.parametrize(
    "formatter", [JsonFormatter(), TextFormatter(), compression_operator.telemetry.logs.JobTextFormatter()]
)
def test_lines_have_no_terminal_control_characters(formatter: logging.Formatter) -> None:
    said = "a\x1b[2J\x9b2J\u202e\x7f\r\u2028b größe"
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "%s", (said,), None)
    record.job = record.field = said
    line = formatter.format(record)
    assert not [letter for letter in line if letter != " " and not letter.isprintable()]
    assert "größe" in line
    if isinstance(formatter, JsonFormatter):
        assert json.loads(line)["message"] == said


def test_a_traceback_stays_on_one_line() -> None:
    try:
        raise OSError("gone")
    except OSError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert "gone" in json.loads(text)["exception"]


@pytest.mark.parametrize(
    "configure",
    [
        lambda: compression_operator.telemetry.logs.configure("json", "info"),
        lambda: compression_runner.telemetry.logs.configure(as_json=True),
    ],
    ids=["operator", "runner"],
)
def test_operator_and_pod_name_a_job_alike(configure: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    root, runner = logging.getLogger(), logging.getLogger("compression_runner")
    before = (root.handlers[:], root.level, runner.level)
    job = JobRecord.of(raw_job())
    try:
        configure()
        runner.warning("it broke", extra=job.log_fields | {"reason": "DiskFull"})
    finally:
        root.handlers[:], root.level, runner.level = before
        logging.captureWarnings(False)
    line = json.loads(capsys.readouterr().err)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "compression_runner",
        "message": "it broke",
        "namespace": job.namespace,
        "job": job.name,
        "reason": "DiskFull",
    }
