"""The changes that would decide a job's open limits, from the numbers in its status."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

import pytest

from compressionjob import conditions
from kubectl_compress.advice import advice
from kubectl_compress.cluster import Cluster
from kubectl_compress.commands.retry import retry
from kubectl_compress.job import Job
from kubectl_compress.kubectl import Kubectl
from kubectl_compress.remedies import samples_that_decide, time_limit_that_decides
from tests.support.screens import condition, judged, terminal, text_of
from tests.support.screens import job as job_of

GIVEN = argparse.Namespace(name="minilm-int8", set=[], new_name=None, dry_run=False, output="", watch=False)


def _open(name: str, **more: float) -> dict[str, Any]:
    return {"name": name, "unit": "ratio", "limit": 1.2, "measured": 1.3, "verdict": "Inconclusive", **more}


def _left_open(*objectives: dict[str, Any], reason: str = conditions.SLA_INCONCLUSIVE, **spec: Any) -> Job:
    status = judged(
        "Inconclusive", "Failed", objectives=list(objectives), conditions=[condition("Failed", "True", reason)]
    )
    return job_of(status=status, **spec)


class Recording(Cluster):
    """A cluster with one job, which keeps created objects."""

    def __init__(self, job: Job) -> None:
        super().__init__(Kubectl((), "ml"))
        self._job, self.created = job, list[Mapping[str, Any]]()

    def job(self, name: str, namespace: str = "") -> Job:
        return self._job

    def create(
        self, plural: str, namespace: str, manifest: Mapping[str, Any], *, dry_run: bool = False
    ) -> dict[str, Any]:
        self.created.append(manifest)
        return dict(json.loads(json.dumps(manifest)))


@pytest.mark.parametrize(("objectives", "limit", "expected"), [
    ([_open("latency", moreSeconds=840)], "10m", "24m"),
    ([_open("latency", moreSeconds=100), _open("latency.speedup", moreSeconds=830)], "10m", "24m"),
    ([_open("latency", moreSeconds=300), _open("throughput", moreSeconds=60)], "10m", "16m"),
    ([_open("latency.speedup", moreSeconds=11)], "20s", "31s"),
    ([_open("latency", moreSeconds=840)], None, "24m"),
    ([_open("quality.drop", moreSamples=3000)], "10m", None),
    ([_open("latency")], "10m", None),
    ([], "10m", None),
])  # fmt: skip
def test_the_time_limit_grows_by_what_the_slowest_limit_needs(
    objectives: list[dict[str, Any]], limit: str | None, expected: str | None
) -> None:
    spec = {} if limit is None else {"spec__benchmark": {"timeLimit": limit}}
    assert time_limit_that_decides(_left_open(*objectives, **spec)) == expected


def test_only_an_inconclusive_job_measures_longer() -> None:
    failed = _left_open(_open("latency", moreSeconds=840), reason=conditions.SLA_VIOLATED)
    assert time_limit_that_decides(failed) is None


def test_advice_names_the_command_in_full() -> None:
    text = advice(_left_open(_open("latency", moreSeconds=840)))
    assert text.endswith("kubectl compress retry minilm-int8 -n ml --set spec.benchmark.timeLimit=24m")
    assert "samples" not in text


def test_advice_names_the_number_of_samples() -> None:
    job = _left_open(_open("quality.drop", moreSamples=3000))
    assert samples_that_decide(job) == job.spec["data"]["evaluation"].get("limit", 1000) + 3000
    assert f"spec.data.evaluation.limit to {samples_that_decide(job)}" in advice(job)
    assert "retry" not in advice(job), "a retry has the same data"


def test_advice_without_numbers_is_general() -> None:
    assert "then retry with a longer benchmark" in advice(_left_open(_open("latency")))


def test_a_retry_measures_as_long_as_a_decision_needs() -> None:
    cluster, screen = Recording(_left_open(_open("latency", moreSeconds=840))), terminal()
    retry(GIVEN, cluster, screen)
    assert cluster.created[0]["spec"]["benchmark"]["timeLimit"] == "24m"
    assert "spec.benchmark.timeLimit=24m (was 10m)" in text_of(screen)


def test_a_retry_with_settings_of_its_own_has_only_those() -> None:
    cluster, screen = Recording(_left_open(_open("latency", moreSeconds=840))), terminal()
    retry(argparse.Namespace(**{**vars(GIVEN), "set": ["spec.deadline=2h"]}), cluster, screen)
    spec = cluster.created[0]["spec"]
    assert spec["deadline"] == "2h"
    assert "timeLimit" not in spec.get("benchmark", {})
    assert "timeLimit" not in text_of(screen)
