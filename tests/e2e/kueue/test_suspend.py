"""``spec.suspend`` and the queue's label with a real Kueue."""

from collections.abc import Callable
from typing import Any

import pytest

from localcluster.errors import LocalClusterError
from tests.e2e.harness import Job, wait_for
from tests.e2e.jobs import at_checkpoint, minilm_job, stages, tiny_job
from tests.e2e.kueue.queues import QUEUE_LABEL, Holder, holds_for, is_active, queued, set_suspend

pytestmark = pytest.mark.kueue

Submit = Callable[[dict[str, Any]], Job]
Hold = Callable[..., Holder]


def test_a_suspended_job_leaves_the_queue_and_is_queued_again(submit: Submit, hold: Hold) -> None:
    occupant = hold("occupant")
    job = submit(queued(tiny_job("queue-suspended")))
    job.wait_condition("Scheduled", "False", "Queued")
    set_suspend(job, True)
    job.wait_phase("Suspended", seconds=60)
    wait_for("the Workload is not active", lambda: not is_active(job) or None, 30)
    occupant.delete()
    holds_for("the queue does not start it", 10, lambda: job.pods() == [] and job.status["phase"] == "Suspended")

    occupant = hold("second-occupant")
    set_suspend(job, False)
    job.wait_condition("Scheduled", "False", "Queued")
    assert job.status["phase"] == "Pending"
    assert job.condition("Suspended")["status"] == "False"
    holds_for("the queue is full", 5, lambda: job.pods() == [])
    occupant.delete()
    assert job.wait_phase("Succeeded")["verdict"] == "Pass"


def test_suspending_a_running_job_frees_its_quota(submit: Submit, hold: Hold, store: Any) -> None:
    job = submit(queued(minilm_job("queue-paused", spec__retries=0)))
    job.running_pod()
    at_checkpoint(store, job, 2)
    set_suspend(job, True)
    wait_for("the Workload is not active", lambda: not is_active(job) or None, 30)
    job.wait_phase("Suspended", seconds=90)
    wait_for("its pod has ended", lambda: not job.pods() or None, 60)

    other = hold("other")
    holds_for("it stays suspended", 5, lambda: job.pods() == [] and job.status["phase"] == "Suspended")
    other.delete()

    set_suspend(job, False)
    wait_for("the Workload is active", lambda: is_active(job) or None, 30)
    status = job.wait_phase("Succeeded", seconds=300)
    assert status.get("retries", 0) == 0
    assert stages(store, job.name)["prune"], "its checkpoint was there before the pause"
    assert len(job.children()) == 1


@pytest.mark.usefixtures("empty_queue")
def test_a_job_resumed_before_its_pod_ends_is_queued_again(submit: Submit) -> None:
    job = submit(queued(tiny_job("queue-wavering", spec__retries=0)))
    job.running_pod()
    set_suspend(job, True)
    wait_for("the Workload is not active", lambda: not is_active(job) or None, 30, pause=0.1)
    set_suspend(job, False)
    wait_for("the Workload is active", lambda: is_active(job) or None, 60)
    assert job.wait_phase("Succeeded")["verdict"] == "Pass"


@pytest.mark.usefixtures("empty_queue")
def test_a_job_created_suspended_waits_for_its_user(submit: Submit) -> None:
    job = submit(queued(tiny_job("queue-held", spec__suspend=True)))
    job.wait_phase("Suspended", seconds=60)
    holds_for("the free queue does not start it", 10, lambda: job.pods() == [] and job.status["phase"] == "Suspended")
    set_suspend(job, False)
    assert job.wait_phase("Succeeded")["verdict"] == "Pass"


def test_a_queued_job_cannot_leave_its_queue(submit: Submit, hold: Hold) -> None:
    occupant = hold("last-occupant")
    job = submit(queued(tiny_job("queue-left")))
    job.wait_condition("Scheduled", "False", "Queued")
    with pytest.raises(LocalClusterError, match="cannot change once the job exists"):
        job.namespace("label", "cpj", job.name, f"{QUEUE_LABEL}-")
    holds_for("it waits for quota", 10, lambda: job.pods() == [] and job.children()[0]["spec"]["suspend"] is True)
    assert job.status["phase"] == "Pending"
    occupant.delete()
    assert job.wait_phase("Succeeded")["verdict"] == "Pass"
