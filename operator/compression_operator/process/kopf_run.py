"""kopf as one part of a process that goes on when kopf ends.

``kopf.operator`` takes the whole event loop for its own: when one watch fails, it cancels every task that began after
it did, also those that work on jobs. Here only the tasks are cancelled that kopf itself began.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from compression_operator.process.lean_kopf import kopf

CANCELS: Final = 4
"""How often kopf's tasks are cancelled: they take a cancellation for the end of one request at times."""
ENDING: Final = 2.5
"""Seconds that they have each time; kopf itself gives its handlers two."""

T = TypeVar("T")

_Tasks = dict["asyncio.Task[Any]", None]
"""Tasks that have not ended, in the order in which they began."""
_own_tasks: ContextVar[_Tasks | None] = ContextVar("kopf_tasks", default=None)

logger = logging.getLogger(__name__)


async def run_kopf(started: Callable[[], None], **options: Any) -> None:
    """Run kopf until it ends or the caller is cancelled, and leave nothing of it behind.

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
    """Make a task, and remember it when kopf, or a task of kopf's, makes it: tasks inherit their maker's context."""
    task = asyncio.Task(work, loop=loop, **options)
    own = _own_tasks.get()
    if own is not None:
        own[task] = None
        task.add_done_callback(own.pop)
    return task


async def _cancel(tasks: _Tasks) -> None:
    """Cancel tasks, and those that they begin meanwhile: the oldest first, which end what they wait for."""
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
    """Return the errors of tasks that have ended; asyncio complains about errors that nobody asked for."""
    errors = [task.exception() for task in tasks if task.done() and not task.cancelled()]
    return [error for error in errors if error is not None]
