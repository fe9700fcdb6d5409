"""CompressionJobs in a queue of a real Kueue: their order, and a job that makes room and comes back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.e2e.harness import Job, wait_for
from tests.e2e.jobs import minilm_job, tiny_job
from tests.e2e.kueue.queues import QUEUE, Holder, holds_for, queued
from tests.e2e.test_interruptions import at_checkpoint, stages

Submit = Callable[[dict[str, Any]], Job]
Hold = Callable[..., Holder]


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


def test_a_preempted_job_goes_on_from_its_checkpoints(submit: Submit, hold: Hold, store: Any) -> None:
    job = submit(queued(minilm_job("queue-preempted", spec__retries=0)))
    job.running_pod()
    at_checkpoint(store, job, 2)
    running = wait_for("its progress is in the status", lambda: _with_progress(job), 60)

    preemptor = hold("urgent", urgent=True)
    waiting = job.wait_phase("Pending", seconds=60)
    wait_for("its pod has ended", lambda: not job.pods() or None, 60)
    waiting = job.status
    scheduled = job.condition("Scheduled")
    assert scheduled["status"] == "False", scheduled
    assert scheduled["reason"] in ("Preempted", "Queued"), scheduled
    assert QUEUE in scheduled["message"], scheduled
    assert waiting.get("stage", "") == ""
    assert waiting.get("progress") is not None
    assert waiting["progress"] >= running["progress"]
    assert "deadlineTime" not in waiting
    used = waiting["usage"]["seconds"]
    holds_for("waiting is not used time", 20, lambda: job.status["usage"]["seconds"] == used)

    preemptor.delete()
    resumed = job.wait_phase("Running", seconds=120)
    gained = _time(resumed["deadlineTime"]) - _time(running["deadlineTime"])
    assert gained >= timedelta(seconds=20), "the deadline moved on by the time of waiting"
    done = job.wait_phase("Succeeded", seconds=300)
    assert done.get("retries", 0) == 0
    assert stages(store, job.name)["prune"], "its checkpoint was there before the preemption"
    elapsed = _time(done["completionTime"]) - _time(done["startTime"])
    assert used < done["usage"]["seconds"] <= elapsed.total_seconds() - 20
    assert len(job.children()) == 1


def _with_progress(job: Job) -> dict[str, Any] | None:
    status = job.status
    return status if status.get("progress") and "deadlineTime" in status else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
