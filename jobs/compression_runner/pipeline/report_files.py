"""Read and write the files of a report: HTML, Markdown and JSON."""

import hashlib
import json

from compression_runner.artifact import decode
from compression_runner.pipeline.names import REPORT_HTML, REPORT_JSON, REPORT_MD
from compression_runner.report import render_html, render_markdown
from compression_runner.storage import Store
from compressionjob.report import Report


def write_report(report: Report, reports: Store) -> str:
    """Write report.html, report.md and, last, report.json; return the digest of report.json."""
    reports.write(REPORT_HTML, render_html(report).encode())
    reports.write(REPORT_MD, render_markdown(report).encode())
    content = _content(report)
    reports.write(REPORT_JSON, content)
    return digest_of(content)


def report_digest(report: Report) -> str:
    """Return the digest of report.json as `write_report` writes it."""
    return digest_of(_content(report))


def digest_of(content: bytes) -> str:
    """Return a file's SHA-256, in the form of the job's status."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read_report(reports: Store) -> Report | None:
    """Return the report; None if it is missing. Raises ValueError if it is invalid."""
    if reports.find(REPORT_JSON) is None:
        return None
    return Report.model_validate(decode(reports.read(REPORT_JSON)))


def earlier_report(reports: Store) -> Report | None:
    """Return the report of an earlier run; None if it is missing or invalid."""
    try:
        return read_report(reports)
    except ValueError:
        return None


def _content(report: Report) -> bytes:
    """Return the content of report.json: the same bytes for the same report."""
    return (json.dumps(report.model_dump(mode="json", by_alias=True), indent=2) + "\n").encode()
