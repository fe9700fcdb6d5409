"""The decision to publish: a pure function of the verdict and the job's settings."""

from typing import Final, Literal

from compressionjob.review import ReviewPolicy
from compressionjob.verdict import Verdict

Publication = Literal["Publish", "Hold", "Refuse"]

PUBLISH: Final = "Publish"
HOLD: Final = "Hold"
REFUSE: Final = "Refuse"


def publication_of(verdict: Verdict, on_violation: str, review: ReviewPolicy) -> Publication:
    """Return whether to Publish now, Hold for a review, or Refuse.

    Pass and NoLimits are published. Inconclusive and Fail are published with ``onViolation: Alert``. Review Always
    holds every model that would be published, and OnInconclusive holds an Inconclusive. A reviewer cannot overrule a
    Fail that the job does not allow: wrong limits are corrected in the job, where all users see them.
    """
    if verdict == "Inconclusive" and review != "Never":
        return HOLD
    if verdict in ("Fail", "Inconclusive") and on_violation != "Alert":
        return REFUSE
    return HOLD if review == "Always" else PUBLISH
