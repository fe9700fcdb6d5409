"""Real operators, a real API server and real receivers that are slow, dead or broken: no job waits for them, and each
receiver finally gets its events, once per id."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.integration.operator.api import Namespace, wait_for
from tests.integration.operator.operators import OperatorProcess
from tests.integration.operator.test_availability import ended, kubelet
from tests.support.manifests import job
from tests.support.webhook_receiver import WebhookReceiver, receiving

Launch = Callable[..., OperatorProcess]

KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ALL_EVENTS = ["Accepted", "Started", "Verdict", "Completed"]


@pytest.fixture
def hooks() -> Iterator[ExitStack]:
    """Receivers that end with the test."""
    with ExitStack() as stack:
        yield stack


def options(namespace: Namespace, folder: Path, **receivers: WebhookReceiver) -> list[str]:
    """Options of an operator for this namespace and these receivers, with one key for all."""
    (folder / "key").write_text(KEY)
    receivers = {
        name: {"url": receiver.url, "timeout": "2s", "keyFile": str(folder / "key")}
        for name, receiver in receivers.items()
    }
    file = folder / "receivers.json"  # JSON is YAML
    file.write_text(json.dumps({"receivers": receivers}))
    return [f"--namespace={namespace.name}", f"--notifications={file}"]


def pending(operator: OperatorProcess, receiver: str) -> float:
    return operator.metric(f'compression_operator_notifications_pending{{receiver="{receiver}"}}')


def count(operator: OperatorProcess, receiver: str, result: str) -> float:
    return operator.metric(f'compression_operator_notifications_total{{receiver="{receiver}",result="{result}"}}')


def results(namespace: Namespace, name: str, receiver: str) -> dict[str, str]:
    """What the job's status says of one receiver: event to result."""
    notifications = namespace.status(name).get("notifications", [])
    return {item["event"]: item.get("result", "") for item in notifications if item["receiver"] == receiver}


def test_slow_receivers_delay_no_job_and_get_all_events(
    namespace: Namespace, launch: Launch, tmp_path: Path, hooks: ExitStack
) -> None:
    with receiving() as dead:
        pass
    slow = hooks.enter_context(receiving(slow=5.0))
    broken = hooks.enter_context(receiving(code=500))
    good = hooks.enter_context(receiving())
    names = ["slow", "dead", "broken", "good"]
    flags = options(namespace, tmp_path, slow=slow, dead=dead, broken=broken, good=good)
    operator = launch("--lease-name=notifications", *flags)
    operator.wait_leading()
    for number in range(10):
        namespace.apply(job(name=f"notified-{number}", spec__notifications=names))
    with kubelet(namespace):
        wait_for("all end", lambda: ended(namespace, 10))
    for name in ("slow", "dead", "broken"):
        wait_for(f"all ended although {name} got nothing", lambda name=name: pending(operator, name) == 40)
    wait_for("the good one knows", lambda: len(good.taken()) == 40 and pending(operator, "good") == 0)
    assert [good.events(f"notified-{number}") for number in range(10)] == [ALL_EVENTS] * 10
    slow.slow, broken.code = 0.0, 200
    back = hooks.enter_context(receiving(port=int(dead.url.rpartition(":")[2].partition("/")[0])))
    for receiver in (slow, broken, back):
        wait_for("it gets its events", lambda receiver=receiver: len(receiver.ids()) == 40, seconds=120)
    wait_for(
        "the statuses say so",
        lambda: all(
            results(namespace, f"notified-{number}", name) == dict.fromkeys(ALL_EVENTS, "Delivered")
            for number in range(10)
            for name in names
        ),
    )
    for receiver in (broken, back, good):
        assert set(receiver.ids().values()) == {1}
        for item in receiver.taken():
            assert Webhook(KEY).verify(item.body, item.headers)["id"] == item.headers["webhook-id"]
    assert sum(pending(operator, name) for name in names) == 0
    assert count(operator, "broken", "retried") >= 1
    assert [count(operator, name, "delivered") for name in names] == [40] * 4
    assert sum(count(operator, name, "dropped") for name in names) == 0
    log = operator.log.read_text()
    assert KEY not in log
    assert "/hook" not in log


def test_events_of_jobs_that_ended_before_a_restart_arrive_after_it(
    namespace: Namespace, launch: Launch, tmp_path: Path, hooks: ExitStack
) -> None:
    ops = hooks.enter_context(receiving(code=503))
    flags = options(namespace, tmp_path, ops=ops)
    operator = launch("--lease-name=notify-restart-1", *flags)
    for number in range(5):
        namespace.apply(job(name=f"notified-{number}", spec__notifications=["ops"]))
    with kubelet(namespace):
        wait_for("all end", lambda: ended(namespace, 5))
    operator.kill()
    assert ops.taken() == []
    ops.code = 204
    second = launch("--lease-name=notify-restart-2", *flags)
    wait_for("all are notified", lambda: len(ops.ids()) == 20)
    delivered = dict.fromkeys(ALL_EVENTS, "Delivered")
    wait_for("all is noted", lambda: all(results(namespace, f"notified-{n}", "ops") == delivered for n in range(5)))
    assert pending(second, "ops") == 0
    assert count(second, "ops", "delivered") == 20
    second.kill()
    third = launch("--lease-name=notify-restart-3", *flags)
    third.wait_leading()
    looked = 'compression_operator_reconcile_seconds_count{outcome="unchanged"}'
    wait_for("it has looked", lambda: third.metric(looked) >= 5)
    assert set(ops.ids().values()) == {1}, "a delivered notification was sent again"


def test_only_the_leader_sends_and_its_successor_continues(
    namespace: Namespace, launch: Launch, tmp_path: Path, hooks: ExitStack
) -> None:
    ops = hooks.enter_context(receiving(code=500))
    flags = options(namespace, tmp_path, ops=ops)
    leader = launch("--lease-name=notify-pair", *flags)
    leader.wait_leading()
    standby = launch("--lease-name=notify-pair", *flags)
    standby.wait_ready()
    namespace.apply(job(spec__notifications=["ops"]))
    with kubelet(namespace):
        wait_for("it ends", lambda: ended(namespace, 1))
    wait_for("it is tried", lambda: count(leader, "ops", "retried") >= 1)
    tried = len(ops.requests)
    assert sum(count(standby, "ops", result) for result in ("delivered", "retried", "dropped")) == 0
    assert tried <= count(leader, "ops", "retried") + 1, "another replica sent"
    ops.code = 204
    leader.kill()
    standby.wait_leading(seconds=40)
    wait_for("it is notified", lambda: ops.events("minilm-int8") == ALL_EVENTS)
    wait_for("it is noted", lambda: pending(standby, "ops") == 0)
    assert set(ops.ids().values()) == {1}


def test_unknown_receiver_is_reported_and_the_job_succeeds(
    namespace: Namespace, launch: Launch, tmp_path: Path, hooks: ExitStack
) -> None:
    ops = hooks.enter_context(receiving())
    launch("--lease-name=notify-names", *options(namespace, tmp_path, ops=ops))
    namespace.apply(job(spec__notifications=["opps", "ops"], spec__ttl="1h"))
    with kubelet(namespace):
        wait_for("it ends", lambda: ended(namespace, 1))
    assert namespace.status("minilm-int8")["phase"] == "Succeeded"
    condition = namespace.condition("minilm-int8", "ReceiversFound")
    assert (condition["status"], condition["reason"]) == ("False", "ReceiverNotFound")
    assert "spec.notifications[0]: 'opps'" in condition["message"]
    wait_for("an Event says it", lambda: "ReceiverNotFound" in namespace.event_reasons())
    wait_for("the other is notified", lambda: ops.events() == ALL_EVENTS)


def test_notifications_of_a_job_with_a_short_ttl_are_sent(
    namespace: Namespace, launch: Launch, tmp_path: Path, hooks: ExitStack
) -> None:
    ops = hooks.enter_context(receiving(code=500))
    operator = launch("--lease-name=notify-ttl", *options(namespace, tmp_path, ops=ops))
    namespace.apply(job(spec__notifications=["ops"], spec__ttl="1s"))
    with kubelet(namespace):
        wait_for("it ends", lambda: ended(namespace, 1))
    wait_for("it is tried", lambda: count(operator, "ops", "retried") >= 2)
    assert namespace.job("minilm-int8") is not None
    ops.code = 204
    wait_for("it is notified", lambda: ops.events() == ALL_EVENTS)
    wait_for("it expires", lambda: namespace.job("minilm-int8") is None)
