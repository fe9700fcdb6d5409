"""What the platform team decides about all jobs when it installs the operator."""

from dataclasses import dataclass

from compressionjob.review_rules import ReviewRule


@dataclass(frozen=True, slots=True)
class Requirements:
    """The operator's settings that are about jobs.

    ``review_rules`` are the reviews that are required on every runtime. ``identities_verified`` says that the API
    server admits spec.author and spec.reviewer only in the name of the user who asks, by the chart's policies.
    """

    review_rules: tuple[ReviewRule, ...] = ()
    identities_verified: bool = False
