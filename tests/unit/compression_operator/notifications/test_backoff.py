"""The backoff of a failing receiver grows; one success resets it."""

import asyncio

from compression_operator.notifications.backoff import ReceiverBackoff


async def test_pauses_double_up_to_the_longest_and_start_over_after_a_success() -> None:
    backoff = ReceiverBackoff(first=1.0, longest=8.0, jitter=lambda: 1.0)
    now = asyncio.get_running_loop().time
    pauses = []
    for _ in range(5):
        await asyncio.sleep(0.001)  # each round begins after the one before
        pauses.append(backoff.failed(now()))
    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0]
    backoff.succeeded()
    await asyncio.sleep(0.001)
    assert backoff.failed(now()) == 1.0


async def test_requests_that_were_open_together_are_one_failure() -> None:
    backoff = ReceiverBackoff(first=1.0, jitter=lambda: 1.0)
    began = [await backoff.wait() for _ in range(3)]
    assert [backoff.failed(moment) for moment in began] == [1.0, None, None]


async def test_jitter_keeps_half_and_the_receiver_may_ask_for_more_but_not_for_ever() -> None:
    backoff = ReceiverBackoff(first=1.0, longest=8.0, jitter=lambda: 0.0)
    now = asyncio.get_running_loop().time
    assert backoff.failed(now()) == 0.5
    await asyncio.sleep(0.001)
    assert backoff.failed(now(), at_least=5.0) == 5.0
    await asyncio.sleep(0.001)
    assert backoff.failed(now(), at_least=10**9) == 8.0


async def test_success_ends_the_pause_for_all_senders() -> None:
    backoff = ReceiverBackoff(first=1000.0)
    backoff.failed(await backoff.wait())
    waiting = asyncio.create_task(backoff.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    backoff.succeeded()
    await asyncio.wait_for(waiting, timeout=5)


async def test_the_pause_ends_by_itself() -> None:
    backoff = ReceiverBackoff(first=0.02)
    backoff.failed(await backoff.wait())
    await asyncio.wait_for(backoff.wait(), timeout=5)
