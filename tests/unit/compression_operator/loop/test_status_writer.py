"""A refused status is reduced and written once, and the condition names the missing fields."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from compression_operator.cache.cache import Cache
from compression_operator.cluster.errors import Invalid, Refused
from compression_operator.cluster.resources import COMPRESSION_JOBS
from compression_operator.loop.reconcile import reconcile
from compression_operator.loop.status_levels import LEVELS
from compression_operator.loop.status_writer import FULL_AGAIN, StatusWriter
from compression_operator.records.annotations import STORES_ANNOTATION
from compression_operator.records.job import JobRecord
from compression_operator.telemetry.job_metrics import JobMetrics
from compression_operator.telemetry.metrics import JobSeries, Metrics
from compressionjob.status import CompressionJobStatus
from tests.support.operator.builders import (
    UID,
    after,
    child,
    complete,
    ended_pod,
    job,
    observe,
    progress,
    raw_job,
    running_pod,
    stamp,
    summary,
)
from tests.support.operator.fake_client import FakeClient, refused

NAME = "minilm-int8"
OBJECTIVE = {"name": "latency", "unit": "seconds", "limit": 0.02, "measured": 0.01, "verdict": "Pass"}
TOO_LONG = f'CompressionJob.compression-operator.io "{NAME}" is invalid: status.objectives[0].name: Too long'
ENDED = ended_pod(message=summary("Pass", objectives=[OBJECTIVE]))


class OldCluster:
    """One job, on an API server whose CRD refuses statuses with any of ``fields``."""

    def __init__(self, *fields: str, code: int = 422) -> None:
        self.fields = set(fields)
        self.code = code
        self.client = FakeClient(statuses=self._rule)
        self.metrics, self.seconds, self.recorded = Metrics(), 0.0, 0
        self.cache = Cache(lambda _: None)
        self.cache.put(COMPRESSION_JOBS, raw_job())
        self.writer = self.replica()

    def _rule(self, status: Mapping[str, Any]) -> Refused | None:
        return refused(self.code, TOO_LONG) if self.fields & status.keys() else None

    def replica(self) -> StatusWriter:
        figures = JobMetrics(self.metrics, JobSeries())
        return StatusWriter(
            cache=self.cache, client=self.client, metrics=self.metrics, job_metrics=figures,
            now=lambda: after(self.seconds), clock=lambda: self.seconds,
        )  # fmt: skip

    async def look(self, **more: Any) -> bool:
        """Reconcile the job; return whether anything was written or recorded."""
        job = self.cache.job(UID)
        assert job is not None
        observed = observe(self.writer.restore(job), **more)
        plan = reconcile(observed, after(self.seconds))
        self.recorded += len(plan.events)
        return plan.status is not None and await self.writer.write(observed.job, plan.status)

    async def run(self, fraction: float = 0.1) -> bool:
        return await self.look(child=child(active=1), pods=(running_pod(),), progress=progress("export", fraction))

    async def end(self) -> bool:
        return await self.look(child=complete(), pods=(ENDED,))

    def condition(self) -> dict[str, Any]:
        """StatusComplete as it is stored."""
        conditions = [item for item in self.stored["conditions"] if item["type"] == "StatusComplete"]
        return conditions[0] if conditions else {}

    @property
    def stored(self) -> dict[str, Any]:
        return self.client.stored[NAME]

    def refusals(self, level: str) -> float | None:
        name = "compression_operator_status_refused_total"
        return self.metrics.registry.get_sample_value(name, {"status": level})


async def test_the_job_ends_with_its_verdict_where_figures_are_refused() -> None:
    cluster = OldCluster("objectives")
    await cluster.end()
    stored = cluster.stored
    assert (stored["phase"], stored["verdict"], stored["confidence"]) == ("Succeeded", "Pass", "0.95")
    assert stored["childJob"]["name"].startswith(NAME)
    assert stored["report"] == "s3://models/minilm-int8-report"
    assert not {"objectives", "baseline", "compressed"} & stored.keys()
    condition = cluster.condition()
    assert (condition["status"], condition["reason"]) == ("False", "StatusRefused")
    assert "status.objectives[0].name: Too long" in condition["message"]
    assert "left out: baseline, compressed, latencyP99, objectives" in condition["message"]
    assert "upgrade the CRDs" in condition["message"]
    assert (cluster.refusals("full"), cluster.refusals("minimal")) == (1, 0)


async def test_a_job_goes_on_with_the_stores_that_it_began_with_where_figures_are_refused() -> None:
    """Their addresses are a decision: a later pod must not get those that a store has by then."""
    cluster = OldCluster("progress")
    began = {"name": "team-a", "endpoint": "http://old:9000", "secretName": "keys", "region": "eu-1"}
    annotations = {STORES_ANNOTATION: json.dumps([began])}
    running = child(active=1, annotations=annotations)
    await cluster.look(child=running, pods=(running_pod(),), progress=progress("export", 0.5))
    assert cluster.condition()["status"] == "False"
    assert "progress" not in cluster.stored
    assert cluster.stored["stores"] == [began]
    job = cluster.cache.job(UID)
    assert job is not None
    assert job.endpoints == (("team-a", "http://old:9000"),)


def test_only_what_is_shown_is_left_out_of_the_minimal_status() -> None:
    """A new field of the status is either added to the minimal level, or here: no decision may rest on it then."""
    shown = {
        "stage", "progress", "progressText", "steps", "sizeRatio", "latencyP99", "fallback", "objectives", "anomalies",
        "baseline", "compressed",
    }  # fmt: skip
    fields = {field.alias for field in CompressionJobStatus.model_fields.values()}
    minimal = next(level for level in LEVELS if level.name == "minimal")
    assert fields - minimal.fields == shown
    assert minimal.fields < fields


@pytest.mark.parametrize("fields", [("objectives",), ("objectives", "usage")])
async def test_refused_status_is_not_written_again_without_changes(fields: tuple[str, ...]) -> None:
    cluster = OldCluster(*fields)
    await cluster.end()
    requests, recorded = len(cluster.client.offered), cluster.recorded
    for cluster.seconds in (1.0, FULL_AGAIN + 1):
        assert not await cluster.end()
        cluster.writer = cluster.replica()  # another leader knows of no refusal
    assert (len(cluster.client.offered), cluster.recorded) == (requests, recorded)


async def test_the_least_is_written_where_the_minimal_status_is_refused_too() -> None:
    cluster = OldCluster("objectives", "usage")
    await cluster.end()
    kept = {"observedGeneration", "phase", "message", "completionTime", "conditions"}
    assert cluster.stored.keys() == kept
    assert cluster.stored["phase"] == "Succeeded"
    assert all(len(item["message"]) <= 200 for item in cluster.stored["conditions"])
    assert (cluster.refusals("full"), cluster.refusals("minimal"), cluster.refusals("least")) == (1, 1, 0)


async def test_a_status_that_is_refused_altogether_is_an_error() -> None:
    cluster = OldCluster("phase")
    with pytest.raises(Invalid):
        await cluster.end()
    assert cluster.refusals("least") == 1


async def test_malformed_request_is_not_reduced() -> None:
    cluster = OldCluster("phase", code=400)
    with pytest.raises(Invalid):
        await cluster.end()
    assert len(cluster.client.offered) == 1
    assert cluster.refusals("full") == 0


async def test_full_status_is_tried_again_at_intervals(caplog: pytest.LogCaptureFixture) -> None:
    cluster = OldCluster("progress")
    with caplog.at_level(logging.WARNING):
        for fraction in range(1, 50):
            cluster.seconds += 1
            await cluster.run(fraction / 100)
        cluster.seconds = FULL_AGAIN + 2
        await cluster.run(0.5)
    assert cluster.refusals("full") == 2
    assert len(caplog.records) == 1
    assert len(cluster.client.offered) <= 50 + 2  # one request a change, as ever, and the two refusals
    assert cluster.recorded == 2  # Started and Running, once
    assert cluster.stored["childrenCreated"] == 1


async def test_least_status_causes_no_second_decision() -> None:
    cluster = OldCluster("progress", "childJob")
    for fraction in range(1, 20):
        await cluster.run(fraction / 100)
    assert cluster.recorded == 2
    assert len(cluster.client.offered) == 3
    await cluster.end()
    assert cluster.stored["phase"] == "Succeeded"
    counted = "compression_operator_verdicts_total"
    assert cluster.metrics.registry.get_sample_value(counted, {"verdict": "Pass"}) == 1


async def test_the_condition_ends_with_the_upgrade() -> None:
    cluster = OldCluster("progress")
    await cluster.run()
    assert cluster.condition()["lastTransitionTime"] == stamp()
    cluster.fields.clear()
    cluster.seconds = FULL_AGAIN
    await cluster.run(0.2)
    assert cluster.stored["progress"] == 20
    assert cluster.condition() == {}
    await cluster.end()
    assert cluster.stored["objectives"]
    assert cluster.condition() == {}


async def test_new_leader_removes_the_condition_after_the_upgrade() -> None:
    cluster = OldCluster("progress")
    await cluster.run()
    cluster.writer = cluster.replica()
    cluster.fields.clear()
    await cluster.run(0.2)
    assert cluster.condition() == {}


async def test_a_reduced_status_that_is_reduced_again_has_the_condition_once() -> None:
    cluster = OldCluster("objectives")
    await cluster.end()
    job = cluster.cache.job(UID)
    assert job is not None
    for level in LEVELS:
        types = [item["type"] for item in level.reduce(job, cluster.stored, TOO_LONG, after(60))["conditions"]]
        assert types.count("StatusComplete") == 1


def test_minimal_status_has_the_measuring_runtime() -> None:
    """A new leader knows only the stored status: without the field, it would measure on the compressing runtime."""
    status = {"phase": "Running", "part": "Measure", "measuringRuntime": "quiet", "objectives": []}
    kept = LEVELS[0].reduce(job(), status, TOO_LONG, after(60))
    assert JobRecord.of(raw_job(status=kept)).present_runtime == "quiet"


async def test_figures_that_were_left_out_stay_missing() -> None:
    """A later change that the API server takes does not bring them back."""
    cluster = OldCluster("objectives")
    await cluster.end()
    cluster.fields.clear()
    changed = raw_job(status=cluster.stored, generation=2)
    changed["metadata"]["resourceVersion"] = "5000"
    cluster.cache.put(COMPRESSION_JOBS, changed)
    assert await cluster.end()
    assert cluster.stored["observedGeneration"] == 2
    assert cluster.condition()["status"] == "False"
