"""CompressionJobs in a queue of a real Kueue: their order, and preemption."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.harness import Job, wait_for
from tests.e2e.jobs import at_checkpoint, minilm_job, stages, tiny_job
from tests.e2e.kueue.queues import QUEUE, Holder, holds_for, queued

Submit = Callable[[dict[str, Any]], Job]
Hold = Callable[..., Holder]
WAIT = 20
"""Seconds that a preempted job has to wait."""


@pytest.mark.usefixtures("empty_queue")
def test_the_second_job_waits_for_the_first(submit: Submit) -> None:
    first = submit(queued(tiny_job("queue-first")))
    first.wait_phase("Running")
    second = submit(queued(tiny_job("queue-second")))
    scheduled = second.wait_condition("Scheduled", "False", "Queued")
    assert QUEUE in scheduled["message"], scheduled
    assert second.status["phase"] == "Pending"
    assert second.pods() == []
    done = first.wait_phase("Succeeded")
    second.wait_phase("Running", "Succeeded")
    verdicts = done["verdict"], second.wait_phase("Succeeded")["verdict"]
    assert verdicts == ("Pass", "Pass")


def test_a_preempted_job_resumes_from_its_checkpoints(submit: Submit, hold: Hold, store: Any) -> None:
    job = submit(queued(minilm_job("queue-preempted", spec__retries=0)))
    job.running_pod()
    at_checkpoint(store, job, 2)
    running = wait_for("progress and deadline are in the status", lambda: _with(job, "progress", "deadlineTime"), 60)

    preempted = time.monotonic()
    preemptor = hold("urgent", urgent=True)
    job.wait_phase("Pending", seconds=60)
    wait_for("its pod has ended", lambda: not job.pods() and job.status["usage"]["pods"][-1]["ended"], 60)
    waiting = job.status
    scheduled = job.condition("Scheduled")
    assert scheduled["status"] == "False", scheduled
    assert scheduled["reason"] in ("Preempted", "Queued"), scheduled
    assert QUEUE in scheduled["message"], scheduled
    assert waiting.get("stage", "") == ""
    assert waiting.get("progress", -1) >= running["progress"]
    assert "deadlineTime" not in waiting
    used = waiting["usage"]["seconds"]
    holds_for("waiting is not used time", WAIT, lambda: job.status["usage"]["seconds"] == used)

    preemptor.delete()
    job.wait_phase("Running", seconds=120)
    resumed = wait_for("its deadline is in the status", lambda: _with(job, "deadlineTime"), 30)
    waited = time.monotonic() - preempted
    gained = (_time(resumed["deadlineTime"]) - _time(running["deadlineTime"])).total_seconds()
    # The time of the first pod still counts. A deadline that started again would be later.
    assert WAIT <= gained <= waited + used / 2, (gained, waited, used)
    done = job.wait_phase("Succeeded", seconds=300)
    assert done.get("retries", 0) == 0
    assert stages(store, job.name)["prune"], "its checkpoint was there before the preemption"
    elapsed = (_time(done["completionTime"]) - _time(done["startTime"])).total_seconds()
    assert used < done["usage"]["seconds"] <= elapsed - WAIT
    assert len(job.children()) == 1


def _with(job: Job, *fields: str) -> dict[str, Any] | None:
    status = job.status
    return status if all(status.get(field) for field in fields) else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
