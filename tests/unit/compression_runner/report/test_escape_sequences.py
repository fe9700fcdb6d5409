"""A report shows untrusted text without control sequences for terminals or browsers."""

from compression_runner.report import render_html, render_markdown
from compressionjob.plain_text import plain
from compressionjob.report import StageReport
from tests.support.reports import NOW, report

OBEYED = "a\x1b]0;title\x07\x1b[2J\x9b31m\u202egpj\u2066\x7fz"


def test_reports_have_no_escape_sequences_or_bidi_controls() -> None:
    stage = StageReport(
        name=OBEYED, method=OBEYED, parameters={OBEYED: OBEYED}, fingerprint="f", size_bytes=1, seconds=1, reused=False
    )
    hostile = report(
        job={"name": OBEYED, "spec": {"model": {"source": OBEYED, "task": OBEYED}, "columns": [OBEYED]}},
        anomalies=[OBEYED],
        stages=[stage],
        environment={"notes": [OBEYED]},
    )
    for text in (render_html(hostile, NOW), render_markdown(hostile, NOW)):
        assert "a]0;title" in text.replace("\\", "")
        assert plain(text) == text
