"""One job in full: facts, progress, conditions, limits, and the next step."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from compressionjob import conditions
from compressionjob.field_types import parse_duration
from compressionjob.review_rules import stricter
from compressionjob.spec import DEFAULT_RETRIES
from compressionjob.verdict import ObjectiveResult
from kubectl_compress.advice import advice, remarks
from kubectl_compress.display.table import columns
from kubectl_compress.display.terminal import age, coloured, span
from kubectl_compress.job import Job, Step, parse_time

_MARKS: Final = {
    "done": ("✓", "green"),
    "now": ("▸", "bold cyan"),
    "failed": ("✗", "red"),
    "to come": ("·", "dim"),
    "left out": ("–", "dim"),
}
_GOOD, _BAD, _OPEN = ("✓", "green"), ("✗", "red"), ("?", "yellow")
# The text for each condition that is True, False or Unknown; None: no line.
_WORDS: Final[dict[str, tuple[str | None, str | None, str | None]]] = {
    conditions.ACCEPTED: ("accepted: the specification can work", "not accepted", "not checked yet"),
    conditions.SCHEDULED: ("scheduled: a node was found", "not scheduled", "not scheduled yet"),
    conditions.SUSPENDED: ("suspended", None, None),
    conditions.SLA_SATISFIED: ("verdict Pass", "verdict Fail", "verdict Inconclusive"),
    conditions.AS_PROMISED: ("as small, fast and exact as promised", "not as promised", None),
    conditions.REVIEWED: ("approved", "rejected", "waits for review"),
    conditions.COMPLETE: ("complete", None, None),
    conditions.FAILED: ("failed", None, None),
    conditions.DEADLINE_AT_RISK: ("may end after its deadline", None, None),
    conditions.RECEIVERS_FOUND: (None, "a receiver of notifications is missing", None),
    conditions.STATUS_COMPLETE: (None, "the status is incomplete", None),
}
_BAD_IF_TRUE: Final = (conditions.FAILED, conditions.DEADLINE_AT_RISK)
"""Conditions that are bad if they are True."""
_BY_REASON: Final = {conditions.VERDICT_NO_LIMITS: "not judged", conditions.NO_VERDICT: "no verdict"}
_CANNOT_START: Final = ("", "a node was found, but the pod cannot start", "")
# Reasons whose message repeats the condition, reasons that the condition's text contains, and those without a line.
_OBVIOUS: Final = {
    conditions.VALID, conditions.POD_SCHEDULED, conditions.PROMISES_KEPT, conditions.AWAITING_REVIEW,
    conditions.SUSPENDED_BY_USER,
}  # fmt: skip
_IN_WORDS: Final = {
    conditions.VERDICT_PASS, conditions.VERDICT_FAIL, conditions.VERDICT_INCONCLUSIVE, conditions.PROMISE_BROKEN,
    conditions.VERDICT_NO_LIMITS, conditions.NO_VERDICT, conditions.APPROVED, conditions.REJECTED,
}  # fmt: skip
_NOTHING_YET: Final = {conditions.NO_VERDICT_YET}
_WITH_POD: Final = ("Pending", "Running")
"""Phases in which the condition Scheduled is shown."""


def job_detail(job: Job, now: datetime) -> Group:
    """Return everything in the status of a job, for display."""
    parts: list[RenderableType] = [headline(job), Padding(_facts(job, now), (1, 0, 1, 0))]
    message = message_of(job)
    if message:
        parts += [Text(message), Text()]
    parts += list(condition_lines(job, now, [message]))
    if job.objectives:
        parts += [Text(), objectives_table(job.objectives)]
    steps = [*(("also: ", remark) for remark in remarks(job)), ("next: ", advice(job))]
    for title, step in steps:
        if step:
            parts += [Text(), Text(title, style="bold").append(step, style="not bold")]
    return Group(*parts)


def message_of(job: Job) -> str:
    """Return the state in one sentence; "" if stage or conditions show it."""
    return "" if job.verdict or (job.stage and job.phase == "Running") else job.message


def headline(job: Job) -> Text:
    """Return a line with name, phase, and verdict or stage."""
    phase = Text(job.phase, style="red") if job.is_stuck else coloured(job.phase or "not seen yet")
    line = Text(job.name, style="bold").append("  ").append_text(phase)
    if job.verdict:
        line.append("  ").append_text(coloured(job.verdict))
    elif job.ended:
        line.append(f"  {job.reason}")
    elif job.is_stuck:
        line.append(f"  {job.reason}", style="red")
    elif job.stage:
        line.append(f"  {job.stage}").append("" if job.progress is None else f"  {job.progress} %")
    return line


def steps_line(steps: list[Step]) -> Text:
    """Return the steps of a run with a mark each: done, running, failed, to come."""
    line = Text()
    for step in steps:
        mark, style = _MARKS[step.state]
        line.append("  " if line else "").append(f"{mark} {step.title}", style=style)
    return line


def objectives_table(objectives: list[ObjectiveResult]) -> Table:
    """Return a table with the measured value, interval and verdict of each limit."""
    table = columns("LIMIT", "MUST BE", "MEASURED", "INTERVAL", "VERDICT")
    for item in objectives:
        table.add_row(
            Text(item.name),
            Text(f"{item.direction} {item.write(item.limit)}"),
            Text("not measured" if item.measured is None else item.write(item.measured)),
            Text(interval(item)),
            coloured(item.verdict),
        )
    return table


def interval(item: ObjectiveResult) -> str:
    """Return the interval of a figure, or "exact" for a counted one."""
    if item.low is None or item.high is None:
        return ""
    if item.low == item.high:
        return "exact"
    return f"{item.write(item.low)} to {item.write(item.high)}"


def condition_lines(job: Job, now: datetime, shown: Sequence[str] = ()) -> Iterator[Text]:
    """Yield the conditions as text, in the order of a job's life; conditions of later versions come last.

    Messages in ``shown``, or in a condition above, are not repeated.
    """
    known = [job.condition(kind) for kind in _WORDS if kind != conditions.SCHEDULED or job.phase in _WITH_POD]
    excluded = (*_WORDS, *conditions.FOR_OTHER_TOOLS)
    others = [item for item in job.conditions if item.get("type") not in excluded]
    seen = [text for text in shown if text]
    for item in [*known, *others]:
        line = _condition_line(item, now, seen) if item else None
        if line is not None:
            yield line


def _condition_line(item: Mapping[str, Any], now: datetime, seen: list[str]) -> Text | None:
    kind, status, reason = str(item.get("type")), str(item.get("status")), str(item.get("reason", ""))
    words = _WORDS.get(kind, (kind, f"not {kind}", f"{kind} unknown"))
    if kind == conditions.SCHEDULED and reason in conditions.CANNOT_START:
        words, status = _CANNOT_START, "False"
    text = _BY_REASON.get(reason) or words[("True", "False").index(status) if status in ("True", "False") else 2]
    if text is None or reason in _NOTHING_YET:
        return None
    mark, style = _mark(kind, status)
    line = Text().append(mark, style=style).append(f" {text}")
    if reason not in _OBVIOUS:
        message = _unseen_part(str(item.get("message", "")), seen)
        line.append("" if reason in _IN_WORDS else f": {reason}").append(f": {message}" if message else "")
    since = age(parse_time(item.get("lastTransitionTime")), now)
    return line.append(f"  {since} ago" if since else "", style="dim")


def _mark(kind: str, status: str) -> tuple[str, str]:
    if status == "Unknown" or kind == conditions.SUSPENDED:
        return _OPEN
    return _GOOD if (status == "True") != (kind in _BAD_IF_TRUE) else _BAD


def _unseen_part(message: str, seen: list[str]) -> str:
    """Return the part of a message that is not in ``seen``, and add it there."""
    new = message
    for text in seen:
        new = new.replace(text, "").strip(" ;:")
    if new:
        seen.append(new)
    return new


def _facts(job: Job, now: datetime) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    spec, status = job.spec, job.status
    model = spec.get("model", {})
    rows: list[tuple[str, Text]] = [
        ("model", Text(f"{model.get('source', '')} ({model.get('task', '')})")),
        ("steps", steps_line(job.steps)),
        ("runtime", Text(_runtimes(spec))),
        ("output", Text(_output(job))),
        ("author", Text(str(spec.get("author", "")))),
        ("review", Text(_review(spec, status))),
        ("time", Text(times(job, now))),
    ]
    if status.get("report"):
        rows.append(("report", Text(str(status["report"]))))
    if status.get("retries"):
        rows.append(("retries", Text(f"{status['retries']} of {_setting('retries', spec, status, DEFAULT_RETRIES)}")))
    if status.get("interruptions", {}).get("count"):
        allowed = _setting("maxInterruptions", spec, status)
        count = str(status["interruptions"]["count"])
        rows.append(("interrupted", Text(count if allowed is None else f"{count} of {allowed}")))
    for name, text in rows:
        if text:
            table.add_row(Text(name, style="dim"), text)
    return table


def _output(job: Job) -> str:
    destination = str(job.status.get("artifact") or job.spec.get("output", {}).get("destination", ""))
    return f"{destination}, not published" if job.ended and not job.status.get("artifact") else destination


def _review(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """Return the effective review rule of a job; "" if it needs no review."""
    terms, wait = status.get("terms", {}), spec.get("reviewTimeout")
    rule = stricter(spec.get("review"), terms.get("review"))
    if rule == "Never":
        return ""
    other = ", not of the author" if terms.get("separation") else ""
    required = ", required by the platform team" if rule != spec.get("review", "Never") else ""
    timeout = f"; {spec.get('onReviewTimeout', 'Reject')} after {wait} without one" if wait else ""
    return f"{rule}{other}{required}{timeout}"


def _setting(name: str, spec: Mapping[str, Any], status: Mapping[str, Any], otherwise: Any = None) -> Any:
    """Return the effective value of a setting: the job's own or its runtime's default, capped by the limit."""
    terms = status.get("terms", {})
    limit = terms.get("limits", {}).get(name)
    value = spec.get(name, terms.get("defaults", {}).get(name, otherwise))
    return value if limit is None else limit if value is None else min(value, limit)


def _runtimes(spec: Mapping[str, Any]) -> str:
    compresses, measures = str(spec.get("runtime", "")), str(spec.get("sla", {}).get("runtime", ""))
    return f"{compresses}, measured on {measures}" if measures and measures != compresses else compresses


def times(job: Job, now: datetime) -> str:
    """Return how long ago a job started, how long it took, and the rest of its deadline."""
    start, end = parse_time(job.status.get("startTime")), parse_time(job.status.get("completionTime"))
    if start is None:
        return f"created {age(job.created, now)} ago, not started"
    if end is not None:
        return f"took {span((end - start).total_seconds())}, ended {age(end, now)} ago"
    if job.phase != "Running":
        return f"started {age(start, now)} ago"
    text = f"runs for {age(start, now)}"
    deadline = job.spec.get("deadline")
    if not deadline:
        return text
    left = parse_duration(str(deadline)) - (now - start).total_seconds()
    return f"{text}, {span(left)} left of its deadline of {deadline}" if left > 0 else f"{text}, past its deadline"
