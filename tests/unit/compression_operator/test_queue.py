"""The queue holds each key once, gives it to one worker at a time, and at its time."""

import asyncio

import pytest

from compression_operator.queue import LONGEST_WAIT, WorkQueue


async def take(queue: WorkQueue) -> str:
    return await asyncio.wait_for(queue.get(), timeout=5)


async def test_a_key_waits_once_however_often_it_is_added() -> None:
    queue = WorkQueue()
    for _ in range(3):
        queue.add("a")
    queue.add("b")
    assert len(queue) == 2
    assert [await take(queue), await take(queue)] == ["a", "b"]
    assert len(queue) == 0


async def test_the_age_is_that_of_the_key_that_waits_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    moment, queue = 100.0, WorkQueue()
    monkeypatch.setattr("compression_operator.queue.time.monotonic", lambda: moment)
    assert queue.age == 0
    queue.add("a")
    queue.add("later", delay=1000)
    moment = 107.0
    queue.add("b")
    moment = 110.0
    assert queue.age == 10
    await take(queue)
    assert queue.age == 3
    await take(queue)
    assert queue.age == 0


async def test_a_key_in_work_comes_back_only_when_it_is_done() -> None:
    queue = WorkQueue()
    queue.add("a")
    await take(queue)
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await take(queue) == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_earliest_time_wins() -> None:
    queue = WorkQueue()
    queue.add("a", delay=1000)
    queue.add("a", delay=0.01)
    queue.add("a", delay=2000)
    assert (len(queue), queue.waiting) == (0, 1)
    assert await take(queue) == "a"
    assert queue.waiting == 0


async def test_immediate_add_replaces_a_delayed_one() -> None:
    queue = WorkQueue()
    queue.add("a", delay=1000)
    queue.add("a")
    assert (len(queue), queue.waiting) == (1, 0)
    assert await take(queue) == "a"


async def test_delayed_add_during_work_is_kept() -> None:
    queue = WorkQueue()
    queue.add("a")
    await take(queue)
    queue.add("a", delay=1000)
    queue.add("a", delay=0.01)
    queue.done("a")
    assert queue.waiting == 1
    assert await take(queue) == "a"


async def test_failures_back_off_and_success_starts_over() -> None:
    queue = WorkQueue(first_backoff=1.0, longest_backoff=8.0, jitter=lambda: 1.0)
    assert [queue.retry("a") for _ in range(5)] == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert queue.retry("b") == 1.0
    queue.forget("a")
    assert queue.retry("a") == 1.0
    assert queue.retry("c", at_least=30.0) == 30.0
    assert queue.retry("d", at_least=86_400.0) == LONGEST_WAIT


async def test_clear_removes_keys_timers_and_failures() -> None:
    queue = WorkQueue(first_backoff=1.0, jitter=lambda: 1.0)
    queue.retry("failed")
    queue.add("working")
    await take(queue)
    queue.add("working")
    queue.add("ready")
    queue.add("timed", delay=0.01)
    queue.clear()
    queue.done("working")
    assert (len(queue), queue.waiting) == (0, 0)
    assert queue.retry("failed") == 1.0
    queue.add("working")
    assert await take(queue) == "working"
    with pytest.raises(TimeoutError):  # neither what was ready nor what had a timer
        await asyncio.wait_for(queue.get(), timeout=0.05)


async def test_jitter_keeps_at_least_half_of_the_backoff() -> None:
    queue = WorkQueue(first_backoff=1.0, jitter=lambda: 0.0)
    assert queue.retry("a") == 0.5


async def test_many_workers_never_share_a_key() -> None:
    queue, busy, served = WorkQueue(), set[str](), list[str]()
    enough = asyncio.Event()

    async def work() -> None:
        while True:
            key = await queue.get()
            assert key not in busy
            busy.add(key)
            await asyncio.sleep(0)
            busy.discard(key)
            served.append(key)
            queue.done(key)
            if len(served) >= 100:
                enough.set()
            queue.add(key)

    workers = [asyncio.create_task(work()) for _ in range(8)]
    for key in "abcde" * 3:
        queue.add(key)
    await asyncio.wait_for(enough.wait(), timeout=10)
    for worker in workers:
        worker.cancel()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert set(served) == set("abcde")
