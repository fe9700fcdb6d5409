"""A receiver that fails is left alone longer and longer; one success makes up for all failures."""

import asyncio

from compression_operator.notifications.patience import Patience


async def test_pauses_double_up_to_the_longest_and_start_over_after_a_success() -> None:
    patience = Patience(first=1.0, longest=8.0, jitter=lambda: 1.0)
    now = asyncio.get_running_loop().time
    pauses = []
    for _ in range(5):
        await asyncio.sleep(0.001)  # each round begins after the one before
        pauses.append(patience.failed(now()))
    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0]
    patience.succeeded()
    await asyncio.sleep(0.001)
    assert patience.failed(now()) == 1.0


async def test_requests_that_were_open_together_are_one_failure() -> None:
    patience = Patience(first=1.0, jitter=lambda: 1.0)
    began = [await patience.wait() for _ in range(3)]
    assert [patience.failed(moment) for moment in began] == [1.0, None, None]


async def test_jitter_keeps_half_and_the_receiver_may_ask_for_more_but_not_for_ever() -> None:
    patience = Patience(first=1.0, longest=8.0, jitter=lambda: 0.0)
    now = asyncio.get_running_loop().time
    assert patience.failed(now()) == 0.5
    await asyncio.sleep(0.001)
    assert patience.failed(now(), at_least=5.0) == 5.0
    await asyncio.sleep(0.001)
    assert patience.failed(now(), at_least=10**9) == 8.0


async def test_a_success_ends_the_pause_for_whoever_waits() -> None:
    patience = Patience(first=1000.0)
    patience.failed(await patience.wait())
    waiting = asyncio.create_task(patience.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    patience.succeeded()
    await asyncio.wait_for(waiting, timeout=5)


async def test_the_pause_ends_by_itself() -> None:
    patience = Patience(first=0.02)
    patience.failed(await patience.wait())
    await asyncio.wait_for(patience.wait(), timeout=5)
