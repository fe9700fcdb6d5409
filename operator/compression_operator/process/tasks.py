"""Long-running tasks of the process: all run until one of them ends."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any


class TaskEnded(Exception):
    """A task ended without an error before it was cancelled."""


async def run_together(coroutines: Mapping[str, Coroutine[Any, Any, object]]) -> None:
    """Run coroutines until one of them ends or the caller is cancelled; then cancel the others, in their order.

    Raises the first error, or TaskEnded if there is none: none of them should end by itself.
    """
    tasks = [asyncio.create_task(work, name=name) for name, work in coroutines.items()]
    ended: set[asyncio.Task[object]] = set()
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks)
    raise TaskEnded(f"{', '.join(task.get_name() for task in ended)} ended without an error")


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks one after the other; raise the first error of a task."""
    errors: list[BaseException] = []
    for task in tasks:
        task.cancel()
        await asyncio.wait([task])
        error = None if task.cancelled() else task.exception()
        if error is not None:
            errors.append(error)
    if errors:
        raise errors[0]
