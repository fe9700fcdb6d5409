"""Steps that run beside each other, each as soon as those that it needs are done."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from localcluster.progress import step

_AT_ONCE = 32

Step = Future[Any]
"""A step that runs, or waits for those that it needs."""


class Steps:
    """A block that ends when all of its steps have; it raises the error of the first step that failed."""

    def __init__(self) -> None:
        """Begin with no step."""
        self._pool = ThreadPoolExecutor(max_workers=_AT_ONCE)
        self._steps: list[Step] = []

    def __enter__(self) -> Self:
        """Begin the block."""
        return self

    def add(self, title: str, work: Callable[[], object], *, after: Iterable[Step] = (), slow: str = "") -> Step:
        """Start a step, now or when those of ``after`` are done; it does not start when one of them failed.

        ``slow`` announces a step that takes long.
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
