"""Run kopf as one task of a process that continues when kopf ends.

``kopf.operator`` treats the whole event loop as its own: when one watch fails, it cancels all tasks that began after
it, including the workers of the control loop. Here only the tasks that kopf created are cancelled.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from compression_operator.process.lean_kopf import kopf

CANCELS: Final = 4
"""How often kopf's tasks are cancelled: they sometimes treat a cancellation as the end of one request."""
ENDING: Final = 2.5
"""Seconds to wait after each cancellation; kopf itself gives its handlers two."""

T = TypeVar("T")

_Tasks = dict["asyncio.Task[Any]", None]
"""Tasks that have not ended, in the order in which they began."""
_own_tasks: ContextVar[_Tasks | None] = ContextVar("kopf_tasks", default=None)

logger = logging.getLogger(__name__)


async def run_kopf(started: Callable[[], None], **options: Any) -> None:
    """Run kopf until it ends or the caller is cancelled, and cancel all its tasks.

    ``started`` is called when kopf has taken over the signal handlers; ``options`` are those of ``kopf.operator``.
    Raises the error that kopf ended with, and RuntimeError when it ended without one.
    """
    loop = asyncio.get_running_loop()
    own: _Tasks = {}
    factory = loop.get_task_factory()
    loop.set_task_factory(_remember)
    token = _own_tasks.set(own)
    try:
        roots = await kopf.spawn_tasks(**options)
        started()
        await asyncio.wait(roots, return_when=asyncio.FIRST_COMPLETED)
        failed = _errors(roots)
    finally:
        _own_tasks.reset(token)
        await _cancel(own)
        loop.set_task_factory(factory)
    raise failed[0] if failed else RuntimeError("kopf ended without an error")


def _remember(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T] | Generator[Any, None, T], **options: Any
) -> "asyncio.Task[T]":
    """Create a task, and record it if kopf or a task of kopf creates it: tasks inherit the context of their creator."""
    task = asyncio.Task(work, loop=loop, **options)
    own = _own_tasks.get()
    if own is not None:
        own[task] = None
        task.add_done_callback(own.pop)
    return task


async def _cancel(tasks: _Tasks) -> None:
    """Cancel tasks and those that they create meanwhile, the oldest first: parents end their children."""
    for _ in range(CANCELS):
        running = list(tasks)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=ENDING)
            _errors(running)
    if tasks:
        logger.warning("tasks of kopf do not end: %s", ", ".join(task.get_name() for task in tasks))


def _errors(tasks: Iterable["asyncio.Task[Any]"]) -> list[BaseException]:
    """Return the errors of tasks that have ended; asyncio warns about errors that are never retrieved."""
    errors = [task.exception() for task in tasks if task.done() and not task.cancelled()]
    return [error for error in errors if error is not None]
