"""A judged figure is shown only with its judged interval."""

import re
from typing import Any

import pytest

from compression_runner.report import render_html, render_markdown
from compressionjob.estimate import Estimate
from tests.support.reports import NOW, objective, report, side

WIDE: dict[str, Any] = {"measured": 1.81, "low": 1.6, "high": 4.5}
NARROW = Estimate(value=1.81, low=1.78, high=1.85)
SPEC = {"model": {"task": "text-embedding"}, "sla": {"latency": {"percentile": "p50", "minSpeedup": "1.2"}}}


def shown(**changes: Any) -> str:
    changed = report(**changes)
    job = changed.job.model_copy(update={"spec": SPEC})
    changed = changed.model_copy(update={"job": job})
    html = re.sub(r"<[^>]+>", "", render_html(changed, NOW).partition("</style>")[2])
    return f"{html}\n{render_markdown(changed, NOW)}"


def test_the_speedup_has_one_interval_and_is_shown_once() -> None:
    """A version before wrote the verdict's interval, which noise widens, beside a narrower one."""
    speedups = {"p50": NARROW, "p90": NARROW, "p99": Estimate(value=1.7, low=1.2, high=2.2)}
    limit = objective("latency.speedup", "Pass", direction="at least", limit=1.2, **WIDE)
    text = shown(verdict="Pass", objectives=[limit], speedups=speedups)
    html, _, markdown = text.partition("\n## ")
    for written in (html, markdown):
        assert written.count("1.60 to 4.50") == 1
        assert "1.78 to 1.85" not in written
    assert "The speed-up, p50, is among the objectives." in html
    assert "1.81 times as fast" in html


def test_a_speedup_without_a_limit_is_shown_with_the_latencies() -> None:
    text = shown(verdict="NoLimits", objectives=[], speedups={"p50": NARROW})
    assert text.count("1.78 to 1.85") == 1
    assert "among the objectives" not in text


@pytest.mark.parametrize(
    ("limit", "interval", "other"),
    [
        (
            objective("latency", "Pass", unit="seconds", limit=0.1, measured=0.0067, low=0.001, high=0.02),
            "1.00 ms to 20.0 ms",
            "6.63 ms to 6.83 ms",
        ),
        (
            objective("quality.drop", "Pass", unit="score", limit=0.1, measured=0.0061, low=0.001, high=0.02),
            "0.0010 to 0.0200",
            "0.0059 to 0.0063",
        ),
    ],
)
def test_a_figure_that_is_shown_twice_has_one_interval(limit: Any, interval: str, other: str) -> None:
    text = shown(verdict="Pass", objectives=[limit], compressed=side(23_017_000, 1.0))
    html = text.partition("\n## ")[0]
    assert html.count(interval) == 2
    assert other not in html
