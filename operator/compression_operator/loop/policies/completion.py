"""The end of a child that ran to its end: the pod's summary becomes the verdict and the figures of the status."""

from typing import Final

from compression_operator.loop import steps
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
from compressionjob.objectives import sets_limits
from compressionjob.parts import COMPRESS, MEASURE, PUBLISH, Part
from compressionjob.report import Summary, parse_summary
from compressionjob.schema import format_duration
from compressionjob.sla import NO_LIMITS_SENTENCE, Verdict

_SATISFIED: Final[dict[str, ConditionStatus]] = {
    VERDICT_PASS: "True",
    VERDICT_FAIL: "False",
    VERDICT_INCONCLUSIVE: "Unknown",
    VERDICT_NO_LIMITS: "Unknown",
}
_KEPT: Final = {VERDICT_PASS: SLA_MET, VERDICT_NO_LIMITS: PUBLISHED_WITHOUT_LIMITS}
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
        _begin_again(draft, summary)
    elif draft.observed.job.part != PUBLISH and not _tells_what_became(summary):
        _begin_again(draft, None)
    elif draft.observed.job.part == PUBLISH:
        _published(draft, summary)
    else:
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
    """What the pod says that did the work. Where several say that they did, and not the same, none is believed."""
    said = [
        pod.terminated.message
        for pod in draft.observed.pods
        if pod.phase == "Succeeded" and pod.terminated is not None and pod.index == "0"
    ]
    summary = parse_summary(said[0]) if len(set(said)) == 1 else None
    if summary is None or summary.verdict == _verdict(draft, summary.verdict):
        return summary
    return summary.model_copy(update={"verdict": VERDICT_NO_LIMITS, "sentence": NO_LIMITS_SENTENCE})


def _verdict(draft: Draft, verdict: Verdict | None) -> Verdict | None:
    """Return the verdict as this version gives it: an older one calls a job without limits a Pass."""
    without = verdict == VERDICT_PASS and not sets_limits(draft.observed.job.spec())
    return VERDICT_NO_LIMITS if without else verdict


def _tells_what_became(summary: Summary) -> bool:
    """Whether it says what is published or held: a Pass is one of both, and nobody can review what has no digest."""
    return bool(summary.digest) if summary.held else summary.published or summary.verdict not in _KEPT


def _begin_again(draft: Draft, summary: Summary | None) -> None:
    """Do the part once more, from the checkpoints: the words of its pod are lost, and the model may be published."""
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
    draft.look_again(0)


def _published(draft: Draft, summary: Summary) -> None:
    """Nothing that the pod says changes what was judged: it published exactly that, or the job has failed."""
    before = draft.before
    judged = draft.condition(SLA_SATISFIED)
    told, known = (summary.digest, summary.verdict), (before.digest, _verdict(draft, before.verdict))
    if not summary.published or told != known:
        draft.finish(
            "Failed",
            RESULT_CHANGED,
            f"the pod says that it published {summary.digest or 'nothing'} with the verdict {summary.verdict}, but "
            f"{before.digest} was judged, with {before.verdict}; do not use what lies at the destination: find out who "
            "writes there, and apply the job again",
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
        return "several pods say that they did the work, and not the same; see who creates pods in this namespace"
    if ended:
        return "the pod ended well, but its termination message holds no verdict"
    return "the pod ended well, but it was deleted before its verdict was read"


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
    """Return how the step that publishes stands."""
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
        draft.set_condition(AS_PROMISED, "True", PROMISES_KEPT, "the result is what its methods promise")
    if summary.held:
        review.ask(draft, sentence)
    elif verdict in _KEPT:
        draft.finish("Succeeded", PUBLISHED_FALLBACK if summary.fallback else _KEPT[verdict], sentence)
    elif summary.published:
        draft.finish("Succeeded", PUBLISHED_DESPITE_VIOLATION, f"published because of onViolation: Alert; {sentence}")
    else:
        draft.finish("Failed", _NOT_PUBLISHED[verdict], f"{sentence}; nothing was published, the report tells more")
