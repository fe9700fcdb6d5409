"""The end of a complete child: the summary of its pod becomes the verdict and the figures of the status."""

from typing import Final

from compression_operator.loop import steps
from compression_operator.loop.draft import ConditionStatus, Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies import review
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import (
    AS_PROMISED,
    PROMISE_BROKEN,
    PROMISES_KEPT,
    PUBLISHED_AFTER_REVIEW,
    PUBLISHED_DESPITE_VIOLATION,
    PUBLISHED_FALLBACK,
    PUBLISHED_WITHOUT_LIMITS,
    RESULT_CHANGED,
    SLA_INCONCLUSIVE,
    SLA_MET,
    SLA_SATISFIED,
    SLA_VIOLATED,
    SUMMARY_MISSING,
    VERDICT_FAIL,
    VERDICT_INCONCLUSIVE,
    VERDICT_NO_LIMITS,
    VERDICT_PASS,
)
from compressionjob.field_types import format_duration
from compressionjob.job_parts import COMPRESS, MEASURE, PUBLISH, Part
from compressionjob.objectives import sets_limits
from compressionjob.report import Summary, parse_summary
from compressionjob.verdict import NO_LIMITS_SENTENCE, Verdict

_SATISFIED: Final[dict[str, ConditionStatus]] = {
    VERDICT_PASS: "True",
    VERDICT_FAIL: "False",
    VERDICT_INCONCLUSIVE: "Unknown",
    VERDICT_NO_LIMITS: "Unknown",
}
_KEPT: Final = {VERDICT_PASS: SLA_MET, VERDICT_NO_LIMITS: PUBLISHED_WITHOUT_LIMITS}
_NOT_PUBLISHED: Final = {VERDICT_FAIL: SLA_VIOLATED, VERDICT_INCONCLUSIVE: SLA_INCONCLUSIVE}


def conclude(draft: Draft) -> ReconcilePlan | None:
    """End a job with the verdict in the summary of its complete child, or continue with the next part."""
    if "Complete" not in draft.child.conditions:
        return None
    if draft.observed.job.part == COMPRESS:
        return _measure(draft)
    summary = _summary(draft)
    if summary is None or summary.verdict is None:
        if not draft.observed.confirmed:
            return ReconcilePlan(confirm=True)
        _restart_part(draft, summary)
    elif draft.observed.job.part != PUBLISH and not _states_outcome(summary):
        _restart_part(draft, None)
    elif draft.observed.job.part == PUBLISH:
        _published(draft, summary)
    else:
        _show_figures(draft, summary)
        _judge(draft, summary, summary.verdict)
    return draft.plan()


def _measure(draft: Draft) -> ReconcilePlan:
    """Continue with the part Measure: the stages are in their checkpoints, even if the summary is lost."""
    message = f"the stages are done; the runtime {draft.observed.job.measuring_runtime!r} measures"
    draft.set(part=MEASURE, child_job=None, stage="")
    draft.set_phase("Running", message)
    draft.note("Normal", event_reasons.MEASURING, message)
    draft.requeue_after(0)
    return draft.plan()


def _summary(draft: Draft) -> Summary | None:
    """Return the summary of the pod that did the work; None if several pods report different ones."""
    messages = [
        pod.terminated.message
        for pod in draft.observed.pods
        if pod.phase == "Succeeded" and pod.terminated is not None and pod.index == "0"
    ]
    summary = parse_summary(messages[0]) if len(set(messages)) == 1 else None
    if summary is None or summary.verdict == _verdict(draft, summary.verdict):
        return summary
    return summary.model_copy(update={"verdict": VERDICT_NO_LIMITS, "sentence": NO_LIMITS_SENTENCE})


def _verdict(draft: Draft, verdict: Verdict | None) -> Verdict | None:
    """Return the verdict of this version: an older runner reports Pass for a job without limits."""
    without = verdict == VERDICT_PASS and not sets_limits(draft.observed.job.spec())
    return VERDICT_NO_LIMITS if without else verdict


def _states_outcome(summary: Summary) -> bool:
    """Return whether the summary is conclusive: a Pass is published or held, and a held result has a digest."""
    return bool(summary.digest) if summary.held else summary.published or summary.verdict not in _KEPT


def _restart_part(draft: Draft, summary: Summary | None) -> None:
    """Run the part again, from the checkpoints: the summary of its pod is lost, and the model may be published."""
    job, text = draft.observed.job, _missing(draft, summary)
    if (summary is not None and summary.error is not None) or draft.before.retries >= job.retries:
        draft.finish("Failed", SUMMARY_MISSING, text)
        return
    part: Part = PUBLISH if job.part == PUBLISH else MEASURE
    done = {"retries": draft.before.retries + 1, "restarts": draft.before.restarts + 1}
    again = "published" if part == PUBLISH else "measured"
    message = f"{text}; it is {again} again, from its checkpoints"
    draft.set(part=part, child_job=None, **done)
    draft.set_phase("Pending", message)
    draft.note("Warning", event_reasons.RETRYING, message, cause=SUMMARY_MISSING)
    draft.requeue_after(0)


def _published(draft: Draft, summary: Summary) -> None:
    """End the job: it succeeds if the pod published exactly the judged result, else it fails."""
    before = draft.before
    judged = draft.condition(SLA_SATISFIED)
    published, expected = (summary.digest, summary.verdict), (before.digest, _verdict(draft, before.verdict))
    if not summary.published or published != expected:
        draft.finish(
            "Failed",
            RESULT_CHANGED,
            f"the pod reports that it published {summary.digest or 'nothing'} with the verdict {summary.verdict}, but "
            f"{before.digest} was judged, with {before.verdict}; do not use the model at the destination: find out who "
            "writes there, and run the job again",
        )
        return
    draft.set(space=summary.space or before.space)
    draft.set(artifact=summary.artifact, stage="", steps=steps.completed(draft.steps))
    draft.reach(100)
    sentence = judged.message if judged is not None and judged.message else summary.sentence
    kept = _KEPT.get(before.verdict or "")
    if kept is None:
        draft.finish("Succeeded", PUBLISHED_AFTER_REVIEW, f"published because a review allows it; {sentence}")
    else:
        draft.finish("Succeeded", PUBLISHED_FALLBACK if before.fallback else kept, sentence)


def _missing(draft: Draft, summary: Summary | None) -> str:
    if summary is not None and summary.error is not None:
        return summary.error.sentence()
    ended = sum(pod.phase == "Succeeded" for pod in draft.observed.pods)
    if ended > 1:
        return "several pods report different results; check who creates pods in this namespace"
    if ended:
        return "the pod succeeded, but its termination message has no verdict"
    return "the pod succeeded, but it was deleted before its verdict was read"


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
        checkpoint=summary.checkpoint,
        report_digest=summary.report_digest,
        space=summary.space,
        stage="",
        steps=steps.completed(draft.steps, publish=_publishing(summary)),
    )
    draft.reach(100)


def _publishing(summary: Summary) -> str:
    """Return the state of the publish step."""
    if summary.held:
        return "Pending"
    return "Done" if summary.published else "Skipped"


def _judge(draft: Draft, summary: Summary, verdict: str) -> None:
    sentence = summary.sentence or f"the verdict is {verdict}"
    if summary.fallback:
        sentence = f"{sentence}; {summary.fallback}"
    draft.set_condition(SLA_SATISFIED, _SATISFIED[verdict], verdict, sentence)
    if summary.anomalies:
        draft.set_condition(AS_PROMISED, "False", PROMISE_BROKEN, "; ".join(summary.anomalies))
    else:
        draft.set_condition(AS_PROMISED, "True", PROMISES_KEPT, "the compressed model is as its methods promise")
    if summary.held:
        review.request(draft, sentence)
    elif verdict in _KEPT:
        draft.finish("Succeeded", PUBLISHED_FALLBACK if summary.fallback else _KEPT[verdict], sentence)
    elif summary.published:
        draft.finish("Succeeded", PUBLISHED_DESPITE_VIOLATION, f"published because of onViolation: Alert; {sentence}")
    else:
        draft.finish("Failed", _NOT_PUBLISHED[verdict], f"{sentence}; nothing was published; see the report")
