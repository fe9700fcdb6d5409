"""MLPerf's scenarios for latency: how queries reach a model."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from compression_runner.evaluation.speed import loadgen
from compression_runner.evaluation.speed.queries import Queries
from compressionjob.performance_limits import LatencyLimit, LatencyScenario


@dataclass(frozen=True)
class SystemUnderTest:
    """A model that is measured: answers prepared query `i`, or a batch of prepared samples.

    A prepared sample stands for `samples_each` samples, more than one if the model fixes its batch size; such a model
    gets one prepared sample at a time. `sequential` means that it works in the calling thread alone. `shapes` has the
    shapes of the inputs of each query.
    """

    answer: Callable[[int], None]
    answer_batch: Callable[[Sequence[int]], None]
    queries: int
    samples: int
    samples_each: int = 1
    sequential: bool = False
    shapes: Sequence[Hashable] = ()


@dataclass(frozen=True)
class Scenario:
    """A scenario with its parameter: arrivals per second (Server), or samples per query (MultiStream)."""

    name: LatencyScenario = "SingleStream"
    rate: float = 0.0
    samples: int = 1

    @classmethod
    def of(cls, limit: LatencyLimit | None) -> "Scenario":
        """Return the scenario of a limit; SingleStream without a limit."""
        if limit is None:
            return cls()
        return cls(limit.scenario, limit.target_rate or 0.0, limit.samples_per_query or 1)

    @property
    def queues(self) -> bool:
        """Whether queries arrive independently of earlier answers."""
        return self.name == "Server"

    def answer(self, side: SystemUnderTest, query: int) -> None:
        """Answer one query outside of a run."""
        if self.name == "MultiStream":
            for start in range(0, self._prepared(side), self._batch(side)):
                side.answer_batch([(query + start + i) % side.samples for i in range(self._batch(side))])
        else:
            side.answer(query % side.queries)

    def run(self, side: SystemUnderTest, queries: int, seed: int) -> Queries:
        """Return the times of `queries` queries. Raises what the model raises, and LoadGenError."""
        if self.name == "MultiStream":
            return loadgen.multi_stream(
                side.answer_batch,
                samples=side.samples,
                queries=queries,
                samples_each=self._prepared(side),
                batch=self._batch(side),
                seed=seed,
                sequential=side.sequential,
            )
        if self.name == "Server":
            return loadgen.server(
                lambda indices: side.answer(indices[0]),
                samples=side.queries,
                queries=queries,
                rate=self.rate,
                seed=seed,
                sequential=side.sequential,
            )
        return loadgen.single_stream(
            lambda indices: side.answer(indices[0]),
            samples=side.queries,
            queries=queries,
            seed=seed,
            sequential=side.sequential,
        )

    def _prepared(self, side: SystemUnderTest) -> int:
        """Return how many prepared samples a query of MultiStream has."""
        return max(1, self.samples // side.samples_each)

    def _batch(self, side: SystemUnderTest) -> int:
        return 1 if side.samples_each > 1 else self._prepared(side)


SINGLE_STREAM: Final = Scenario()
