"""Steps that run in parallel, each as soon as the steps that it needs are done."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from localcluster.progress import step

_AT_ONCE = 32

Step = Future[Any]
"""A step that runs or waits for other steps."""


class Steps:
    """A context manager that waits for all of its steps. It raises the error of the first failed step."""

    def __init__(self) -> None:
        """Create the thread pool, without steps."""
        self._pool = ThreadPoolExecutor(max_workers=_AT_ONCE)
        self._steps: list[Step] = []

    def __enter__(self) -> Self:
        """Return the steps."""
        return self

    def add(self, title: str, work: Callable[[], object], *, after: Iterable[Step] = (), slow: str = "") -> Step:
        """Start a step when the steps in ``after`` are done. It does not start if one of them fails.

        ``slow`` is a note for the announcement of a slow step.
        """
        needed = tuple(after)

        def run() -> None:
            for earlier in needed:
                earlier.result()
            with step(title, slow=slow):
                work()

        future = self._pool.submit(run)
        self._steps.append(future)
        return future

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for every step."""
        self._pool.shutdown()
        if error is None:
            for future in self._steps:
                future.result()
