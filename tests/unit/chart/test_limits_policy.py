"""The policy that warns of a job without limits says what the contract says."""

import re

from charts.generate import CHART
from compressionjob.objectives import LIMITS
from compressionjob.sla import NO_LIMITS_WARNING

POLICY = (CHART / "templates" / "limitspolicy.yaml").read_text()


def test_it_knows_every_limit_that_there_is() -> None:
    assert set(re.findall(r"has\(object\.spec\.sla\.(\w+)\)", POLICY)) == LIMITS


def test_its_message_is_the_one_of_submit_and_plan() -> None:
    assert NO_LIMITS_WARNING in " ".join(POLICY.split())
