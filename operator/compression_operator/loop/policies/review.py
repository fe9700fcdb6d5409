"""The review of a result: requested with the verdict, decided by a CompressionReview or by a timeout.

No pod waits meanwhile: the result is in its checkpoint, and the part Publish copies it to the destination later.
"""

from datetime import timedelta
from typing import Final

from compression_operator.loop.draft import Draft, timestamp
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies import deadline_forecast
from compression_operator.loop.review_binding import Ignored, why_ignored
from compression_operator.records.reading import parse_time
from compression_operator.records.review import ReviewRecord
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import (
    APPROVED,
    AWAITING_REVIEW,
    REJECTED,
    REVIEW_REJECTED,
    REVIEW_TIMED_OUT,
    REVIEWED,
)
from compressionjob.field_types import parse_duration
from compressionjob.job_parts import PUBLISH
from compressionjob.review import TIMEOUT_REVIEWER, ReviewOutcome

_IGNORED: Final = "; not counted: "
"""Separator in the condition's message before the reviews that do not count."""
_MOST_NAMED: Final = 3


def request(draft: Draft, sentence: str) -> None:
    """Let the job wait for its review; the next part is Publish."""
    job = draft.observed.job
    command = f"kubectl compress approve {job.name} -n {job.namespace} --reason ..., or a CompressionReview, decides"
    message = f"waits for a review: {sentence}; {command}"
    draft.set_condition(REVIEWED, "Unknown", AWAITING_REVIEW, message)
    draft.set(part=PUBLISH, child_job=None)
    draft.set_phase("AwaitingReview", message)
    draft.note("Normal", event_reasons.AWAITING_REVIEW, message)
    draft.requeue_after(0)


def decide(draft: Draft) -> ReconcilePlan | None:
    """Let a job wait for its review, or apply the decision; other jobs continue."""
    reviewed = draft.condition(REVIEWED)
    if reviewed is None or reviewed.status == "True":
        return None
    ignored = {item: why_ignored(item, draft.observed.job, draft.before) for item in draft.observed.reviews}
    valid = [item for item, why in ignored.items() if why is None]
    outcome = _decided(valid) or _timed_out(draft, reviewed.last_transition_time)
    if outcome is not None:
        _apply(draft, outcome)
    else:
        message = reviewed.message.partition(_IGNORED)[0] + _ignored_text(ignored)
        draft.set_condition(REVIEWED, "Unknown", AWAITING_REVIEW, message)
    deadline_forecast.pause(draft)
    return draft.plan()


def _apply(draft: Draft, outcome: ReviewOutcome) -> None:
    by_time = outcome.reviewer == TIMEOUT_REVIEWER
    draft.set(review=outcome)
    sentence = f"{outcome.reviewer}: {outcome.reason}"
    if outcome.decision == "Approve":
        draft.set_condition(REVIEWED, "True", REVIEW_TIMED_OUT if by_time else APPROVED, sentence)
        draft.set_phase("Running", f"approved by {sentence}")
        draft.note("Normal", event_reasons.REVIEWED, f"approved by {sentence}")
        draft.requeue_after(0)
        return
    draft.set_condition(REVIEWED, "False", REVIEW_TIMED_OUT if by_time else REJECTED, sentence)
    draft.note("Normal", event_reasons.REVIEWED, f"rejected by {sentence}")
    reason = REVIEW_TIMED_OUT if by_time else REVIEW_REJECTED
    draft.finish("Failed", reason, f"rejected by {sentence}; nothing was published; see the report")


def _decided(valid: list[ReviewRecord]) -> ReviewOutcome | None:
    """Return the first review that counts."""
    first = min(valid, key=lambda review: (review.created, review.name), default=None)
    if first is None:
        return None
    return ReviewOutcome.model_validate(
        {
            "name": first.name,
            "reviewer": first.reviewer,
            "decision": first.decision,
            "reason": first.reason,
            "time": first.created,
        }
    )


def _ignored_text(ignored: dict[ReviewRecord, Ignored | None]) -> str:
    """Return the text about reviews that do not count: how many there are, and why."""
    named = [f"{item.name} ({why.summary})" for item, why in ignored.items() if why is not None]
    if not named:
        return ""
    number = "1 review" if len(named) == 1 else f"{len(named)} reviews"
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return f"{_IGNORED}{number}: {', '.join(sorted(named)[:_MOST_NAMED])}{more}"


def _timed_out(draft: Draft, since: str) -> ReviewOutcome | None:
    spec = draft.observed.job.spec()
    if "reviewTimeout" not in spec:
        return None
    left = parse_duration(spec["reviewTimeout"]) - (draft.now - parse_time(since)) / timedelta(seconds=1)
    if left > 0:
        draft.requeue_after(left)
        return None
    # If the platform team requires a review, a timeout never approves.
    required = draft.before.terms is not None and draft.before.terms.review != "Never"
    return ReviewOutcome(
        reviewer=TIMEOUT_REVIEWER,
        decision="Reject" if required else spec.get("onReviewTimeout", "Reject"),
        reason=f"no reviewer decided within spec.reviewTimeout ({spec['reviewTimeout']})",
        time=timestamp(draft.now),
    )
