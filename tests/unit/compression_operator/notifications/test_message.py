"""Messages: a CloudEvent that the SDK can read, equal at each attempt."""

import json
from typing import Any

import pytest
from cloudevents.core.bindings.http import from_http_event

from compression_operator.notifications.message import event_id, message
from compression_operator.records.job import JobRecord
from compressionjob.notifications import NOTIFICATION_EVENTS
from tests.support.operator.builders import NOW, UID, complete, ended_pod, job, observe, settle, stamp, summary

OBJECTIVE = {
    "name": "size.ratio", "direction": "at most", "unit": "ratio", "limit": 0.26, "measured": 0.25, "low": 0.25,
    "high": 0.25, "verdict": "Pass",
}  # fmt: skip


def ended(verdict: str = "Pass") -> JobRecord:
    pods = (ended_pod(message=summary(verdict, objectives=[OBJECTIVE], digest="sha256:ab")),)
    return settle(observe(job(), child=complete(), pods=pods))[0]


def event_of(event: str, record: JobRecord, source: str = "") -> tuple[dict[str, Any], Any]:
    content = message(record, record.status(), ("ops", event, stamp()), source)
    assert content.headers == {"content-type": "application/cloudevents+json"}
    read = from_http_event(content)
    return dict(read.get_attributes()), read.get_data()


def test_the_attributes_say_what_happened_to_which_job_and_when() -> None:
    attributes, _ = event_of("Completed", ended(), "https://cluster-a.example.com")
    assert attributes == {
        "specversion": "1.0",
        "id": f"{UID}-completed-20261124T120000Z",
        "source": "https://cluster-a.example.com/apis/compression-operator.io/v1alpha1/namespaces/default/"
        "compressionjobs/minilm-int8",
        "type": "io.compression-operator.job.completed",
        "subject": "default/minilm-int8",
        "time": NOW,
        "datacontenttype": "application/json",
    }


def test_a_verdict_comes_with_its_limits() -> None:
    _, data = event_of("Verdict", ended("Fail"))
    assert data["job"] == {"namespace": "default", "name": "minilm-int8", "uid": UID, "runtime": "cpu"}
    assert (data["event"], data["verdict"], data["reason"], data["digest"]) == ("Verdict", "Fail", "Fail", "sha256:ab")
    assert data["objectives"][0]["measured"] == 0.25
    assert data["report"] == "s3://models/minilm-int8-report"
    assert "artifact" not in data


def test_an_end_says_why() -> None:
    _, good = event_of("Completed", ended())
    assert (good["reason"], good["artifact"]) == ("SLAMet", "s3://models/minilm-int8")
    _, bad = event_of("Failed", ended("Fail"))
    assert bad["reason"] == "SLAViolated"
    assert "nothing was published" in bad["message"]


def test_late_event_excludes_later_changes() -> None:
    _, data = event_of("Started", ended())
    assert set(data) == {"job", "event"}


@pytest.mark.parametrize("event", NOTIFICATION_EVENTS)
def test_one_id_always_means_one_content(event: str) -> None:
    record, key = ended(), ("ops", event, stamp())
    bodies = {message(record, record.status(), key, "").body for _ in range(3)}
    assert len(bodies) == 1
    content = json.loads(bodies.pop())
    assert content["id"] == event_id(record, key) == event_id(record, ("another", event, stamp()))
    assert "." not in content["id"]
    ids = {event_id(record, ("ops", other, time)) for other in NOTIFICATION_EVENTS for time in (stamp(), stamp(1))}
    assert len(ids) == 2 * len(NOTIFICATION_EVENTS)
