"""Stores limit the access of jobs before any pod starts, and the connections of a started job do not change."""

import json
from typing import Any

import pytest

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.annotations import STORES_ANNOTATION
from compression_operator.records.job import JobRecord
from compression_operator.records.store import StoreRecord
from compressionjob.report import Summary
from tests.support.operator.builders import (
    NOW,
    after,
    child,
    complete,
    condition_of,
    ended_pod,
    job,
    observe,
    runtime,
    settle,
)
from tests.support.operator.raw import raw_store

IN_STORE = {"spec__storage": {"store": "team-a"}}
SERVING = runtime("serving", image="serving:1")


def stores(*raw: dict[str, Any]) -> dict[str, StoreRecord]:
    """Stores of the job's namespace by name."""
    records = [StoreRecord.of(item) for item in raw]
    return {record.name: record for record in records}


def environment_of(manifest: Any) -> dict[str, Any]:
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def connections_in(manifest: Any) -> Any:
    return json.loads(environment_of(manifest)["COMPRESSION_STORES"])


def test_a_job_that_names_its_store_gets_its_address_and_keys() -> None:
    plan = reconcile(observe(job(**IN_STORE), stores=stores(raw_store())), NOW)
    assert plan.create is not None
    connection = {"name": "team-a", "endpoint": "http://store:9000", "secretName": "team-a-keys"}
    assert connections_in(plan.create) == [connection]
    assert json.loads(plan.create["metadata"]["annotations"][STORES_ANNOTATION]) == [connection]
    assert STORES_ANNOTATION not in plan.create["spec"]["template"]["metadata"]["annotations"]
    for role in ("MODEL", "DATA", "OUTPUT"):
        reference = environment_of(plan.create)[f"{role}_AWS_ACCESS_KEY_ID"]["secretKeyRef"]
        assert reference == {"name": "team-a-keys", "key": "AWS_ACCESS_KEY_ID"}
    # The store has bound them: the Secret need not.
    assert not [name for name in environment_of(plan.create) if name.endswith("AWS_ENDPOINT_URL")]


def test_job_without_stores_is_unchanged() -> None:
    plan = reconcile(observe(job()), NOW)
    assert plan.create is not None
    assert "COMPRESSION_STORES" not in environment_of(plan.create)
    assert STORES_ANNOTATION not in plan.create["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("changes", "reason", "says"),
    [
        ({}, "StoreRequired", "spec.storage.secretName: 's3' is not valid: in this namespace only stores may set it"),
        ({"spec__storage": {"endpoint": "http://evil"}}, "StoreRequired", "spec.storage.endpoint: 'http://evil'"),
        (
            IN_STORE | {"spec__model__source": "s3://secret/minilm"},
            "LocationNotAllowed",
            "spec.model.source: 's3://secret/minilm' is not valid: the CompressionStore 'team-a' does not allow it; it "
            "allows reading s3://models/, s3://data/",
        ),
        (IN_STORE | {"spec__output__destination": "s3://data/out"}, "LocationNotAllowed", "only reading there"),
        (IN_STORE | {"spec__output__destination": "pvc://other/out"}, "LocationNotAllowed", "does not allow it"),
    ],
)
def test_location_outside_the_stores_ends_the_job(changes: dict[str, Any], reason: str, says: str) -> None:
    record, plan = settle(observe(job(**changes), stores=stores(raw_store())))
    assert plan.create is None
    accepted = condition_of(plan, "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", reason)
    assert says in accepted["message"]
    assert (record.phase, record.reason) == ("Failed", reason)
    assert [note.reason for note in plan.events] == ["Failed", "Refused"]


def test_a_missing_store_is_waited_for() -> None:
    record, plan = settle(observe(job(**IN_STORE), stores=stores(raw_store("team-b"))))
    assert condition_of(plan, "Accepted")["reason"] == "StoreNotFound"
    assert "there are: team-b; did you mean 'team-b'?" in condition_of(plan, "Accepted")["message"]
    assert (record.phase, record.reason) == ("Pending", "StoreNotFound")
    assert reconcile(observe(record, stores=stores(raw_store("team-b"))), NOW).empty
    assert reconcile(observe(record, stores=stores(raw_store())), NOW).create is not None


def test_an_invalid_store_is_waited_for() -> None:
    broken = stores(raw_store(locations=[{"prefix": "nfs://x"}]))
    record, plan = settle(observe(job(**IN_STORE), stores=broken))
    assert condition_of(plan, "Accepted")["reason"] == "InvalidStore"
    assert "spec.locations[0].prefix: 'nfs://x'" in condition_of(plan, "Accepted")["message"]
    assert record.phase == "Pending"


def begun(record: JobRecord, **options: Any) -> JobRecord:
    """The job once its first child compresses, with the annotation that the child was created with."""
    there = stores(raw_store())
    plan = reconcile(observe(record, measuring_runtime=SERVING, stores=there), NOW)
    assert plan.create is not None
    noted = child(part="Compress", annotations=plan.create["metadata"]["annotations"], **options)
    record, plan = settle(observe(record, measuring_runtime=SERVING, child=noted, stores=there))
    assert plan.status is not None
    return record


def stages_done(record: JobRecord, **seen: Any) -> JobRecord:
    message = Summary(part="Compress", stages_run=3).to_message()
    done = complete(
        part="Compress", annotations={STORES_ANNOTATION: json.dumps([it.to_json() for it in record.status().stores])}
    )
    record, _ = settle(
        observe(record, measuring_runtime=SERVING, child=done, pods=(ended_pod(message=message),), **seen), after(600)
    )
    assert record.part == "Measure"
    return record


MOVED = {"endpoint": "http://elsewhere:9000", "secretName": "other-keys"}


def test_store_change_does_not_move_later_parts() -> None:
    record = begun(job(spec__sla__runtime="serving", **IN_STORE))
    assert [it.endpoint for it in record.status().stores] == ["http://store:9000"]
    moved = stores(raw_store(version=9, **MOVED))
    record = stages_done(record, stores=moved)
    plan = reconcile(observe(record, on=SERVING, measuring_runtime=SERVING, stores=moved), after(601))
    assert plan.create is not None
    assert plan.create["metadata"]["labels"]["compression-operator.io/part"] == "Measure"
    assert connections_in(plan.create) == [
        {"name": "team-a", "endpoint": "http://store:9000", "secretName": "team-a-keys"}
    ]
    keys = environment_of(plan.create)["OUTPUT_AWS_ACCESS_KEY_ID"]["secretKeyRef"]["name"]
    assert keys == "team-a-keys"
    fresh = reconcile(observe(job(**IN_STORE), stores=moved), NOW)
    assert connections_in(fresh.create)[0]["endpoint"] == "http://elsewhere:9000"


def test_revoked_location_is_refused_to_later_parts() -> None:
    record = begun(job(spec__sla__runtime="serving", **IN_STORE))
    closed = stores(raw_store(version=9, locations=[{"prefix": "s3://models/"}, {"prefix": "s3://data/"}]))
    record = stages_done(record, stores=closed)
    record, plan = settle(observe(record, on=SERVING, measuring_runtime=SERVING, stores=closed), after(601))
    assert (plan.create, record.phase, record.reason) == (None, "Failed", "LocationNotAllowed")


def test_a_job_that_has_begun_without_stores_goes_on_as_it_began() -> None:
    record = job(spec__sla__runtime="serving")
    record, _ = settle(observe(record, measuring_runtime=SERVING, child=child(part="Compress")))
    record = stages_done(record, stores=stores(raw_store()))
    plan = reconcile(observe(record, on=SERVING, measuring_runtime=SERVING, stores=stores(raw_store())), after(601))
    assert plan.create is not None
    # One that has no child yet is not grandfathered.
    assert reconcile(observe(job(), stores=stores(raw_store())), NOW).create is None


def test_write_locations_use_the_stores_endpoint() -> None:
    plan = reconcile(observe(job(**IN_STORE), stores=stores(raw_store())), NOW)
    assert plan.create is not None
    (first, _) = json.loads(plan.create["metadata"]["annotations"]["compression-operator.io/writes-to"])
    assert first == "s3/http%3A%2F%2Fstore%3A9000/models/minilm-int8"
