"""A report shows text from outside without what a terminal or a browser obeys."""

from compression_runner.report import render_html, render_markdown
from compressionjob.plain_text import plain
from compressionjob.report import StageReport
from tests.support.reports import NOW, report

OBEYED = "a\x1b]0;title\x07\x1b[2J\x9b31m\u202egpj\u2066\x7fz"


def test_no_report_holds_escape_sequences_or_turns_the_writing_around() -> None:
    stage = StageReport(
        name=OBEYED, method=OBEYED, parameters={OBEYED: OBEYED}, fingerprint="f", size_bytes=1, seconds=1, reused=False
    )
    found = report(
        job={"name": OBEYED, "spec": {"model": {"source": OBEYED, "task": OBEYED}, "columns": [OBEYED]}},
        anomalies=[OBEYED],
        stages=[stage],
        environment={"notes": [OBEYED]},
    )
    for text in (render_html(found, NOW), render_markdown(found, NOW)):
        assert "a]0;title" in text.replace("\\", "")
        assert plain(text) == text
