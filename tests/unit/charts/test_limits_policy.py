"""The policy that warns about jobs without limits agrees with the package compressionjob."""

import re

from charts.generate import CHART
from compressionjob.objectives import LIMITS
from compressionjob.verdict import NO_LIMITS_WARNING

POLICY = (CHART / "templates" / "limitspolicy.yaml").read_text()


def test_the_policy_checks_every_limit() -> None:
    assert set(re.findall(r"has\(object\.spec\.sla\.(\w+)\)", POLICY)) == LIMITS


def test_the_policy_has_the_message_of_submit_and_plan() -> None:
    assert NO_LIMITS_WARNING in " ".join(POLICY.split())
