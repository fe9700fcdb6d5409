"""Other tools read the state of a job from Ready, Reconciling and Stalled."""

import pytest

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.job import JobRecord
from tests.support.operator.builders import (
    NOW,
    after,
    child,
    complete,
    ended_pod,
    job,
    observe,
    progress,
    running_pod,
    settle,
    stamp,
    summary,
    with_raw_status,
)
from tests.support.operator.phases import SITUATIONS, Situation


def conditions(record: JobRecord) -> dict[str, tuple[str, str, str]]:
    return {item.type: (item.status, item.reason, item.message) for item in record.status().conditions}


def kstatus(record: JobRecord) -> str:
    """How sigs.k8s.io/cli-utils/pkg/kstatus/status.Compute reads a resource that it does not know."""
    status = record.status()
    if status.observed_generation != record.generation:
        return "InProgress"
    known = {item.type: item.status for item in status.conditions}
    if known.get("Reconciling") == "True":
        return "InProgress"
    if known.get("Stalled") == "True":
        return "Failed"
    if "Ready" in known and known["Ready"] != "True":
        return "InProgress"
    return "Current"


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.title)
def test_kstatus_reads_each_phase_correctly(situation: Situation) -> None:
    record = situation.job()
    assert (record.phase, kstatus(record)) == (situation.phase, situation.kstatus)
    ready = conditions(record)["Ready"]
    assert ready[0] == ("True" if situation.phase == "Succeeded" else "False")
    assert ready[1] == (record.reason or situation.phase)
    assert len(ready[2]) <= 200
    assert ("Reconciling" in conditions(record)) == (situation.kstatus == "InProgress")
    assert ("Stalled" in conditions(record)) == (situation.kstatus == "Failed")


def test_unobserved_spec_change_is_in_progress() -> None:
    record, _ = settle(observe(job(), child=complete(), pods=(ended_pod(message=summary()),)))
    changed = with_raw_status(record, record.status().to_json(), generation=2, spec__ttl="1h")
    assert kstatus(changed) == "InProgress"
    plan = reconcile(observe(changed), after(5))
    assert plan.status is not None
    assert kstatus(with_raw_status(changed, dict(plan.status), generation=2)) == "Current"


def test_ready_changes_only_at_the_end() -> None:
    record, _ = settle(observe(job(), child=child(active=1), pods=(running_pod(),)))
    written = conditions(record)
    for number, stage in enumerate(("prune", "quantize", "measure")):
        record, plan = settle(
            observe(record, child=child(active=1), pods=(running_pod(),), progress=progress(stage, number / 3)),
            after(10 * number + 10),
        )
        assert plan.status is not None
        assert conditions(record) == written
    record, _ = settle(observe(record, child=complete(), pods=(ended_pod(message=summary()),)), after(100))
    ready = next(item for item in record.status().conditions if item.type == "Ready")
    assert (ready.status, ready.reason, ready.last_transition_time) == ("True", "SLAMet", stamp(100))


def test_status_of_an_older_operator_gets_the_conditions_once() -> None:
    record, _ = settle(observe(job(), child=complete(), pods=(ended_pod(message=summary()),)))
    status = record.status().to_json()
    status["conditions"] = [item for item in status["conditions"] if item["type"] != "Ready"]
    older = with_raw_status(record, status)
    migrated, plan = settle(observe(older), after(10**6))
    assert plan.status is not None
    assert plan.events == ()
    assert conditions(migrated)["Ready"][0] == "True"
    assert migrated.since == older.since == stamp()
    assert reconcile(observe(migrated), after(10**6 + 1)).empty


def test_the_type_of_each_condition_occurs_once() -> None:
    record, plan = settle(observe(job(), child=child(active=1), pods=(running_pod(),)))
    record, plan = settle(observe(record, child=complete(), pods=(ended_pod(message=summary()),)), NOW)
    assert plan.status is not None
    types = [item["type"] for item in plan.status["conditions"]]
    assert sorted(types) == sorted(set(types))
