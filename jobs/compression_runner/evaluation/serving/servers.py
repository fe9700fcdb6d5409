"""The servers of both models: both at once where memory allows, or one at a time."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from compression_runner.errors import BadRecipe, InvalidInput, RunnerError
from compression_runner.evaluation.machine.noise import Reading
from compression_runner.evaluation.machine.server_noise import read_with_servers
from compression_runner.evaluation.speed.latency_run import MODELS
from compression_runner.gpu.card import Card
from compression_runner.inference.serving.server import Command, ServerFailedError, ServerProcess, last_line

LOG: Final = logging.getLogger(__name__)
LOG_LINES: Final = 30
"""Lines of a failed server's log that go into the run's own log."""
FAILED: Final = "EngineFailed"
ENGINE_FIELD: Final = "spec.benchmark.engine"


@dataclass(frozen=True)
class ServerCommands:
    """The engine's name, the commands of both servers, and whether both fit into the memory at once."""

    engine: str
    commands: tuple[Command, Command]
    resident: bool


class Servers:
    """Starts the servers when they are needed, and ends them."""

    def __init__(
        self,
        plan: ServerCommands,
        start: Callable[[Command], ServerProcess] = ServerProcess,
        card: Card | None = None,
    ) -> None:
        """`card` is the driver's view of the servers' GPU; None on the CPU, or without NVIDIA's library."""
        self._plan = plan
        self._start = start
        self._card = card
        self._running: dict[int, ServerProcess] = {}
        self.start_seconds: dict[int, float] = {}
        """Seconds of the first start of each server."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(*self._running)

    @property
    def resident(self) -> bool:
        """Whether both servers run at once."""
        return self._plan.resident

    @property
    def sessions(self) -> list[int]:
        """The sessions of the running servers."""
        return [server.session for server in self._running.values()]

    def read_noise(self) -> Reading:
        """Read the counters of the machine, and of the servers' GPU."""
        return read_with_servers(self.sessions, card=self._card)

    def joules(self) -> float | None:
        """Read the energy counter of the servers' GPU; None without one."""
        return self._card.joules() if self._card else None

    def url(self, side: int) -> str:
        """Return the address of a server, which is started if it does not run.

        Raises InvalidInput if the engine does not serve the baseline, and BadRecipe if it does not serve the compressed
        model, with the cause from its log.
        """
        if side not in self._running:
            if not self.resident:
                self._end(*self._running)
            try:
                server = self._start(self._plan.commands[side])
            except ServerFailedError as failure:
                raise self.failed(side, f"it did not start: {failure}") from failure
            LOG.info("the server of the %s model is ready after %.0f s", MODELS[side], server.start_seconds)
            self._running[side] = server
            self.start_seconds.setdefault(side, server.start_seconds)
        return self._running[side].url

    def require_running(self, side: int) -> None:
        """Raise what `url` raises if the server has ended by itself."""
        server = self._running[side]
        if not server.running:
            raise self.failed(side, f"it ended while it was measured: {last_line(server.own_log())}")

    def failed(self, side: int, problem: str) -> RunnerError:
        """Return the error of a server that does not serve its model; its log's last lines go into the run's log."""
        log = self._plan.commands[side].log
        repeat_last_lines(self._plan.engine, log)
        problem = f"{self._plan.engine} does not serve the {MODELS[side]} model: {problem} (log: {log})"
        if side == 0:
            remedy = "give a model that the engine supports, or leave spec.benchmark.engine out"
            return InvalidInput(FAILED, "spec.model.source", log.stem, problem, remedy)
        return BadRecipe(FAILED, ENGINE_FIELD, self._plan.engine, problem, "use other stages or parameters of them")

    def _end(self, *sides: int) -> None:
        for side in sides:
            self._running.pop(side).end()


def repeat_last_lines(engine: str, log: Path) -> None:
    """Write the last lines of a server's log, if it has written one, into the run's own log."""
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    for line in lines[-LOG_LINES:]:
        LOG.error("%s: %s", engine, line)
