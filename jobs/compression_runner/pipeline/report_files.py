"""The files of a report, for people and for machines."""

import json

from compression_runner.pipeline.names import REPORT_HTML, REPORT_JSON, REPORT_MD
from compression_runner.report import render_html, render_markdown
from compression_runner.storage import Store
from compressionjob.report import Report


def write_report(report: Report, reports: Store) -> None:
    """Writes report.html, report.md and report.json; the latter comes last, since it says that all is done."""
    reports.write(REPORT_HTML, render_html(report).encode())
    reports.write(REPORT_MD, render_markdown(report).encode())
    content = json.dumps(report.model_dump(mode="json", by_alias=True), indent=2) + "\n"
    reports.write(REPORT_JSON, content.encode())


def read_report(reports: Store) -> Report | None:
    """The report that lies there, None where there is none. Raises ValueError for one that cannot be read."""
    if reports.find(REPORT_JSON) is None:
        return None
    return Report.model_validate(json.loads(reports.read(REPORT_JSON)))


def earlier_report(reports: Store) -> Report | None:
    """The report of an earlier run; one that cannot be read is as good as none."""
    try:
        return read_report(reports)
    except ValueError:
        return None
