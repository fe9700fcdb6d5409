"""The platform team's requirements for all jobs, set when the operator is installed."""

from dataclasses import dataclass

from compressionjob.review_rules import ReviewRule


@dataclass(frozen=True, slots=True)
class Requirements:
    """Requirements from the operator's options.

    ``review_rules`` are the reviews that every runtime requires. ``identities_verified``: the chart's policies admit
    spec.author and spec.reviewer only if they name the requesting user.
    """

    review_rules: tuple[ReviewRule, ...] = ()
    identities_verified: bool = False
