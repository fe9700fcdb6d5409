"""Parts of a process that run side by side and never end by themselves."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any


class PartEnded(Exception):
    """A part ended, without an error, before it was cancelled."""


async def run_together(parts: Mapping[str, Coroutine[Any, Any, object]]) -> None:
    """Run parts until one of them ends or the caller is cancelled; then cancel the others, in their order.

    Raises the first error of a part, or PartEnded where none has one: a part that just stops is an error, too.
    """
    tasks = [asyncio.create_task(work, name=name) for name, work in parts.items()]
    ended: set[asyncio.Task[object]] = set()
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks)
    raise PartEnded(f"{', '.join(task.get_name() for task in ended)} ended without an error")


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks one after the other; raises the first error that one of them ended with."""
    errors: list[BaseException] = []
    for task in tasks:
        task.cancel()
        await asyncio.wait([task])
        error = None if task.cancelled() else task.exception()
        if error is not None:
            errors.append(error)
    if errors:
        raise errors[0]
