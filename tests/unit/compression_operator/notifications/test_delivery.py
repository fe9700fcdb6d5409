"""Delivery to failing receivers: each notification arrives once per id, and no other receiver is delayed."""

import asyncio
import base64
import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from compression_operator.cluster.resources import COMPRESSION_JOBS
from compression_operator.notifications import channel
from localcluster.certificates import make_authority, make_server
from tests.support.operator.control_loop import ControlLoop, until
from tests.support.webhook_receiver import receiving

KEYS = ["whsec_" + base64.b64encode(bytes([number] * 32)).decode() for number in (1, 2)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(channel, "LONGEST_PAUSE", 0.2)


async def test_pending_notifications_are_sent_in_order_and_recorded() -> None:
    with receiving() as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops", events=("Verdict", "Completed"))
        assert loop.pending("ops") == 2
        async with loop.leading():
            await until(lambda: loop.results("a") == ["Delivered", "Delivered"])
        assert ops.events("a") == ["Verdict", "Completed"]
    assert (loop.count("ops", "delivered"), loop.count("ops", "retried"), loop.count("ops", "dropped")) == (2, 0, 0)
    assert loop.pending("ops") == 0
    assert loop.notes == []


async def test_failed_notification_is_retried_with_the_same_id() -> None:
    with receiving(answers=[500, 503, 404]) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops")
        async with loop.leading():
            await until(lambda: loop.results("a") == ["Delivered"])
    assert [item.code for item in ops.requests] == [500, 503, 404, 204]
    assert len({item.headers["webhook-id"] for item in ops.requests}) == 1
    assert len({item.body for item in ops.requests}) == 1
    assert (loop.count("ops", "delivered"), loop.count("ops", "retried")) == (1, 3)


async def test_dead_receiver_delays_no_other_and_catches_up() -> None:
    with receiving() as gone:
        pass
    with receiving() as alive:
        loop = ControlLoop(dead={"url": gone.url}, alive={"url": alive.url})
        for number in range(300):
            loop.end_job(f"job-{number}", "dead", "alive")
        async with loop.leading():
            await until(lambda: loop.pending("alive") == 0)
            assert loop.pending("dead") == 300
            # Senders, the session's own, this test, the loop: not one task for each notification.
            assert len(asyncio.all_tasks()) < 4 * channel.SENDERS
            with receiving(port=int(gone.url.rsplit(":", 1)[1].split("/")[0])) as back:
                await until(lambda: all(loop.results(f"job-{n}") == ["Delivered"] * 2 for n in range(300)))
            assert set(back.ids().values()) == {1}
            assert len(back.ids()) == 300
    assert set(alive.ids().values()) == {1}


async def test_slow_receiver_delays_no_other_and_times_out() -> None:
    with receiving(slow=3.0) as slow, receiving() as quick:
        loop = ControlLoop(slow={"url": slow.url, "timeout": "100ms"}, quick={"url": quick.url})
        loop.end_job("a", "slow", "quick")
        async with loop.leading():
            await until(lambda: loop.results("a") == [None, "Delivered"])
            await until(lambda: loop.count("slow", "retried") >= 2)
            slow.slow = 0.0
            await until(lambda: loop.results("a") == ["Delivered", "Delivered"])


async def test_refused_notification_does_not_block_others() -> None:
    with receiving(answers=[400] * 3) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        for number in range(20):
            loop.end_job(f"job-{number}", "ops")
        async with loop.leading():
            await until(lambda: loop.pending("ops") == 0)
    assert set(ops.ids().values()) == {1}


async def test_old_notification_is_tried_once_and_dropped() -> None:
    old = (datetime.now(UTC) - timedelta(hours=73)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with receiving(code=500) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops", time=old)
        async with loop.leading():
            await until(lambda: loop.results("a") == ["Dropped"])
    assert len(ops.requests) == 1
    assert (loop.count("ops", "dropped"), loop.count("ops", "retried")) == (1, 0)
    (note,) = loop.notes
    assert note.reason == "NotificationDropped"
    assert note.text == f"the receiver ops did not get the notification Completed ({old}): answered 500"


async def test_gone_response_drops_the_notification() -> None:
    with receiving(code=410) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops", events=("Verdict", "Completed"))
        async with loop.leading():
            await until(lambda: loop.results("a") == ["Dropped", "Dropped"])
    assert len(ops.requests) == 2


async def test_redirects_are_not_followed() -> None:
    with receiving() as elsewhere, receiving(code=307, headers={"Location": elsewhere.url}) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops")
        async with loop.leading():
            await until(lambda: loop.count("ops", "retried") >= 2)
    assert elsewhere.requests == []


async def test_response_body_is_not_read() -> None:
    with receiving(code=200, headers={"Content-Length": "1000000000"}, body=b"x") as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops")
        async with loop.leading():
            await until(lambda: loop.results("a") == ["Delivered"])


async def test_the_signature_verifies_also_after_the_key_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEYS[0])
    with receiving() as ops:
        loop = ControlLoop(ops={"url": ops.url, "keyFile": str(file)})
        loop.end_job("a", "ops")
        async with loop.leading():
            await until(lambda: loop.results("a") == ["Delivered"])
            file.write_text(KEYS[1])
            loop.end_job("b", "ops")
            await until(lambda: loop.results("b") == ["Delivered"])
    for key, item in zip(KEYS, ops.requests, strict=True):
        event = Webhook(key).verify(item.body, item.headers)
        assert event["id"] == item.headers["webhook-id"]


async def test_missing_key_prevents_sending(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "key"
    file.write_text("hunter2")
    with receiving() as ops, caplog.at_level(logging.DEBUG):
        loop = ControlLoop(ops={"url": f"{ops.url}?token=hunter2", "keyFile": str(file)})
        loop.end_job("a", "ops")
        async with loop.leading():
            await until(lambda: loop.count("ops", "retried") >= 1)
            assert ops.requests == []
            file.write_text(KEYS[0])
            await until(lambda: loop.results("a") == ["Delivered"])
    assert str(file) in caplog.text
    assert "hunter2" not in caplog.text


async def test_untrusted_certificate_prevents_sending(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = make_server(make_authority(tmp_path), tmp_path, "receiver", ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    with receiving(tls=context) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops")
        async with loop.leading():
            await until(lambda: loop.count("ops", "retried") >= 2)
        assert ops.requests == []
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text


async def test_frequent_reconciles_do_not_shorten_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "FIRST_PAUSE", 1000.0)
    monkeypatch.setattr(channel, "LONGEST_PAUSE", 1000.0)
    with receiving(code=500) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops")
        async with loop.leading():
            await until(lambda: loop.count("ops", "retried") == 1)
            for _ in range(50):
                loop.notifier.update("a")
                await asyncio.sleep(0)
            await asyncio.sleep(0.1)
    assert len(ops.requests) == 1


async def test_notifications_of_a_deleted_job_are_dropped() -> None:
    with receiving(code=500) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops")
        async with loop.leading():
            await until(lambda: loop.count("ops", "retried") >= 1)
            loop.cache.drop(COMPRESSION_JOBS, {"uid": "a"})
            await until(lambda: loop.count("ops", "dropped") == 1)
            ops.code = 204
            loop.end_job("b", "ops")
            await until(lambda: loop.results("b") == ["Delivered"])
    assert ops.events() == ["Completed"]
    assert loop.pending("ops") == 0


async def test_new_leader_sends_the_unsent_notifications() -> None:
    with receiving(code=500) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops")
        async with loop.leading():
            await until(lambda: loop.count("ops", "retried") >= 1)
        seen = len(ops.requests)
        ops.code = 204
        await asyncio.sleep(0.3)
        assert len(ops.requests) == seen, "sent while no replica led"
        async with loop.leading():
            await until(lambda: loop.results("a") == ["Delivered"])
    assert list(ops.ids().values()) == [1]


async def test_notifications_of_a_removed_receiver_stay_pending() -> None:
    with receiving() as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops", "former")
        async with loop.leading():
            await until(lambda: loop.results("a") == ["Delivered", None])
    assert loop.pending("former") is None


async def test_invalid_status_does_not_end_the_channel(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with receiving() as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops", time="yesterday")
        loop.end_job("b", "ops")
        async with loop.leading():
            await until(lambda: loop.results("b") == ["Delivered"])
            await until(lambda: "this is a bug" in caplog.text)
