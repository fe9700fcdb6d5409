"""Whether a result is published: a pure function of the verdict and of what the job says about it."""

from typing import Final, Literal

from compressionjob.review import ReviewPolicy
from compressionjob.sla import Verdict

Publication = Literal["Publish", "Hold", "Refuse"]

PUBLISH: Final = "Publish"
HOLD: Final = "Hold"
REFUSE: Final = "Refuse"


def publication_of(verdict: Verdict, on_violation: str, review: ReviewPolicy) -> Publication:
    """Publish at once, Hold for a person, or Refuse.

    A Pass is published, and so is a result without limits (NoLimits). An Inconclusive is published with
    ``onViolation: Alert``, and so is a Fail. A review stands before whatever would be published (Always) or is open
    (Always, OnInconclusive). A Fail that the job does not allow is not for a person to overrule: limits that are wrong
    are mended in the job, where everybody sees them.
    """
    if verdict == "Inconclusive" and review != "Never":
        return HOLD
    if verdict in ("Fail", "Inconclusive") and on_violation != "Alert":
        return REFUSE
    return HOLD if review == "Always" else PUBLISH
