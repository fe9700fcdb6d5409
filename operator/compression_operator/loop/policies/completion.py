"""The end of a child that ran to its end: the pod's summary becomes the verdict and the figures of the status."""

from typing import Final

from compression_operator.loop.draft import ConditionStatus, Draft
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies import review
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import (
    AS_PROMISED,
    PROMISE_BROKEN,
    PROMISES_KEPT,
    PUBLISHED_AFTER_REVIEW,
    PUBLISHED_DESPITE_VIOLATION,
    PUBLISHED_FALLBACK,
    SLA_INCONCLUSIVE,
    SLA_MET,
    SLA_SATISFIED,
    SLA_VIOLATED,
    SUMMARY_MISSING,
    VERDICT_FAIL,
    VERDICT_INCONCLUSIVE,
    VERDICT_PASS,
)
from compressionjob.parts import COMPRESS, MEASURE, PUBLISH
from compressionjob.report import Summary, parse_summary
from compressionjob.schema import format_duration

_SATISFIED: Final[dict[str, ConditionStatus]] = {
    VERDICT_PASS: "True",
    VERDICT_FAIL: "False",
    VERDICT_INCONCLUSIVE: "Unknown",
}
_NOT_PUBLISHED: Final = {VERDICT_FAIL: SLA_VIOLATED, VERDICT_INCONCLUSIVE: SLA_INCONCLUSIVE}


def conclude(draft: Draft) -> Plan | None:
    """End a job whose child is complete with the verdict in its pod's summary, or go on to the part that follows."""
    if "Complete" not in draft.child.conditions:
        return None
    if draft.observed.job.part == COMPRESS:
        return _measure(draft)
    summary = _summary(draft)
    if summary is None or summary.verdict is None:
        if not draft.observed.confirmed:
            return Plan(confirm=True)
        draft.finish("Failed", SUMMARY_MISSING, _missing(draft, summary))
        return draft.plan()
    _show_figures(draft, summary)
    _judge(draft, summary, summary.verdict)
    return draft.plan()


def _measure(draft: Draft) -> Plan:
    """The stages are in their checkpoints, whatever became of their pod's last words."""
    message = f"the stages are done; the runtime {draft.observed.job.measuring_runtime!r} measures"
    draft.set(part=MEASURE, child_job=None, stage="")
    draft.set_phase("Running", message)
    draft.note("Normal", event_reasons.MEASURING, message)
    draft.look_again(0)
    return draft.plan()


def _summary(draft: Draft) -> Summary | None:
    for pod in draft.observed.pods:
        if pod.phase == "Succeeded" and pod.terminated is not None:
            return parse_summary(pod.terminated.message)
    return None


def _missing(draft: Draft, summary: Summary | None) -> str:
    if summary is not None and summary.error is not None:
        return summary.error.sentence()
    reports = "the report may lie at spec.output.reports; apply the job again, its checkpoints make it short"
    if any(pod.phase == "Succeeded" for pod in draft.observed.pods):
        return f"the pod ended well, but its termination message holds no verdict; {reports}"
    return f"the pod ended well, but it was deleted before its verdict was read; {reports}"


def _show_figures(draft: Draft, summary: Summary) -> None:
    before, after = summary.baseline.size_bytes, summary.compressed.size_bytes
    p99 = summary.compressed.latency_seconds.get("p99")
    draft.set(
        verdict=summary.verdict,
        confidence=None if summary.confidence is None else f"{summary.confidence:g}",
        size_ratio=f"{after / before:.4f}" if before and after is not None else None,
        latency_p99=None if p99 is None else format_duration(p99),
        fallback=summary.fallback,
        objectives=summary.objectives,
        anomalies=summary.anomalies,
        baseline=summary.baseline,
        compressed=summary.compressed,
        report=summary.report,
        artifact=summary.artifact,
        digest=summary.digest,
        stage="",
        progress=100,
    )


def _judge(draft: Draft, summary: Summary, verdict: str) -> None:
    sentence = summary.sentence or f"the verdict is {verdict}"
    if summary.fallback:
        sentence = f"{sentence}; {summary.fallback}"
    draft.set_condition(SLA_SATISFIED, _SATISFIED[verdict], verdict, sentence)
    if summary.anomalies:
        draft.set_condition(AS_PROMISED, "False", PROMISE_BROKEN, "; ".join(summary.anomalies))
    else:
        draft.set_condition(AS_PROMISED, "True", PROMISES_KEPT, "the result is what its methods promise")
    if summary.held:
        review.ask(draft, sentence)
    elif verdict == VERDICT_PASS:
        draft.finish("Succeeded", PUBLISHED_FALLBACK if summary.fallback else SLA_MET, sentence)
    elif summary.published and draft.observed.job.part == PUBLISH:
        draft.finish("Succeeded", PUBLISHED_AFTER_REVIEW, f"published because a review allows it; {sentence}")
    elif summary.published:
        draft.finish("Succeeded", PUBLISHED_DESPITE_VIOLATION, f"published because of onViolation: Alert; {sentence}")
    else:
        draft.finish("Failed", _NOT_PUBLISHED[verdict], f"{sentence}; nothing was published, the report tells more")
