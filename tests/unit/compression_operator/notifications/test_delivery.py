"""Whatever a receiver does, each notification reaches it once per id in the end, and no other receiver waits for it."""

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


async def test_what_is_owed_is_sent_in_order_and_noted() -> None:
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


async def test_a_receiver_that_fails_gets_it_later_under_the_same_id() -> None:
    with receiving(answers=[500, 503, 404]) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops")
        async with loop.leading():
            await until(lambda: loop.results("a") == ["Delivered"])
    assert [item.code for item in ops.requests] == [500, 503, 404, 204]
    assert len({item.headers["webhook-id"] for item in ops.requests}) == 1
    assert len({item.body for item in ops.requests}) == 1
    assert (loop.count("ops", "delivered"), loop.count("ops", "retried")) == (1, 3)


async def test_a_dead_receiver_holds_up_no_other_and_gets_everything_once_it_is_back() -> None:
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


async def test_a_slow_receiver_holds_up_no_other_and_is_not_waited_for_longer_than_its_timeout() -> None:
    with receiving(slow=3.0) as slow, receiving() as quick:
        loop = ControlLoop(slow={"url": slow.url, "timeout": "100ms"}, quick={"url": quick.url})
        loop.end_job("a", "slow", "quick")
        async with loop.leading():
            await until(lambda: loop.results("a") == [None, "Delivered"])
            await until(lambda: loop.count("slow", "retried") >= 2)
            slow.slow = 0.0
            await until(lambda: loop.results("a") == ["Delivered", "Delivered"])


async def test_one_notification_that_is_refused_holds_up_no_other_for_ever() -> None:
    with receiving(answers=[400] * 3) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        for number in range(20):
            loop.end_job(f"job-{number}", "ops")
        async with loop.leading():
            await until(lambda: loop.pending("ops") == 0)
    assert set(ops.ids().values()) == {1}


async def test_what_is_too_old_is_tried_once_more_and_then_dropped_with_a_reason() -> None:
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
    assert note.text == f"the receiver ops was not told of Completed ({old}): answered 500"


async def test_a_receiver_that_says_gone_is_not_asked_again() -> None:
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


async def test_an_answer_is_not_read() -> None:
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


async def test_nothing_is_sent_unsigned_for_want_of_a_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
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


async def test_a_certificate_that_nobody_vouches_for_gets_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
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


async def test_a_job_that_is_looked_at_often_does_not_shorten_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "FIRST_PAUSE", 1000.0)
    monkeypatch.setattr(channel, "LONGEST_PAUSE", 1000.0)
    with receiving(code=500) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops")
        async with loop.leading():
            await until(lambda: loop.count("ops", "retried") == 1)
            for _ in range(50):
                loop.notifier.show("a")
                await asyncio.sleep(0)
            await asyncio.sleep(0.1)
    assert len(ops.requests) == 1


async def test_what_a_deleted_job_owes_is_dropped() -> None:
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


async def test_whoever_leads_next_sends_what_the_one_before_did_not() -> None:
    with receiving(code=500) as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops")
        async with loop.leading():
            await until(lambda: loop.count("ops", "retried") >= 1)
        seen = len(ops.requests)
        ops.code = 204
        await asyncio.sleep(0.3)
        assert len(ops.requests) == seen, "sent while nobody led"
        async with loop.leading():
            await until(lambda: loop.results("a") == ["Delivered"])
    assert list(ops.ids().values()) == [1]


async def test_what_is_owed_to_a_receiver_that_no_longer_exists_waits_for_its_return() -> None:
    with receiving() as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops", "former")
        async with loop.leading():
            await until(lambda: loop.results("a") == ["Delivered", None])
    assert loop.pending("former") is None


async def test_a_status_that_makes_no_sense_ends_neither_the_channel_nor_the_operator(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with receiving() as ops:
        loop = ControlLoop(ops={"url": ops.url})
        loop.end_job("a", "ops", time="yesterday")
        loop.end_job("b", "ops")
        async with loop.leading():
            await until(lambda: loop.results("b") == ["Delivered"])
            await until(lambda: "this is a bug" in caplog.text)
