"""`report`: convert a report.json to an HTML page, or to Markdown for a pull request."""

import json
import sys
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from compression_runner.commands.failures import Ended, explained
from compression_runner.errors import InvalidInput
from compression_runner.report import render_html, render_markdown
from compression_runner.telemetry import logs
from compressionjob.conditions import INVALID_INPUT
from compressionjob.errors import problems_of
from compressionjob.exit_codes import ExitCode
from compressionjob.report import Report

RENDERERS: Final = {"html": render_html, "markdown": render_markdown}


def report(source: Path, form: str, output: Path | None) -> int:
    """Write the report to `output`, by default to standard output."""
    logs.configure(as_json=False)
    try:
        with explained():
            text = RENDERERS[form](read_report(source))
            _write(text, output)
    except Ended as end:
        return end.status
    return ExitCode.DONE


def read_report(source: Path) -> Report:
    """Read a report.json.

    Raises InvalidInput if it cannot be read, or is not a report.
    """
    remedy = "name a report.json that a run has left"
    try:
        return Report.model_validate(json.loads(source.read_text()))
    except ValidationError as error:
        first = problems_of(error)[0]
        problem = f"it is no report: {first.field}: {first.remedy}"
        raise InvalidInput(INVALID_INPUT, "REPORT.json", source, problem, remedy) from error
    except (OSError, ValueError) as error:
        raise InvalidInput(INVALID_INPUT, "REPORT.json", source, f"it cannot be read: {error}", remedy) from error


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text)
    except OSError as error:
        problem = f"it cannot be written ({error.strerror})"
        raise InvalidInput(INVALID_INPUT, "--output", output, problem, "name a file that can be written") from error
