"""The system under test of LoadGen: a predictor with prepared queries."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from compression_runner.dataset import SampleSet
from compression_runner.dataset.cache_inputs import takes_past
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.decoding import decode_step, texts_at_once, together
from compression_runner.evaluation.speed.scenario import SINGLE_STREAM, Scenario, SystemUnderTest
from compression_runner.inference.batch_axis import fixed_batch, joined, part_of
from compression_runner.inference.predictor import Feed, Predictor, TensorInfo
from compressionjob.conditions import INVALID_INPUT
from compressionjob.spec import Benchmark

PREPARED: Final = 64
"""Number of different queries that LoadGen draws from."""
PREPARED_STEPS: Final = 8
"""The same for decoding steps: each needs a prefilled cache, and all take the same time."""
PREPARED_BYTES: Final = 256 << 20
OFFLINE_BATCH: Final = 8
"""Samples of one call when many are waiting."""


def system_under_test(
    predictor: Predictor,
    data: SampleSet,
    benchmark: Benchmark,
    scenario: Scenario = SINGLE_STREAM,
    *,
    sequential: bool = False,
) -> SystemUnderTest:
    """Prepare queries of `batchSize` samples at `sequenceLength`, and single samples for batches.

    `sequential` means that the predictor runs in the calling thread alone.

    Raises InvalidInput if the samples of a MultiStream query are not a multiple of the model's fixed batch size.
    """
    fixed = fixed_batch(predictor.inputs) or 1
    if scenario.name == "MultiStream" and scenario.samples % fixed:
        problem, remedy = f"the model's batch is fixed at {fixed}", f"set it to a multiple of {fixed}"
        raise InvalidInput(INVALID_INPUT, "spec.sla.latency.samplesPerQuery", scenario.samples, problem, remedy)
    if takes_past(predictor.inputs):
        return replace(_decoder(predictor, data, benchmark, scenario.samples), sequential=sequential)
    queries = prepared_queries(predictor, data, benchmark, PREPARED)
    singles = queries
    if fixed_batch(predictor.inputs) is None:
        chosen = _spread(len(data), PREPARED, 1)
        singles = [data.batch([index], predictor.inputs, benchmark.sequence_length) for index in chosen]

    def answer(query: int) -> None:
        predictor.run(queries[query])

    def answer_batch(indices: Sequence[int]) -> None:
        predictor.run(joined([singles[index] for index in indices], predictor.inputs))

    return SystemUnderTest(
        answer=answer,
        answer_batch=answer_batch,
        queries=len(queries),
        samples=len(singles),
        samples_each=fixed,
        sequential=sequential,
        shapes=_shapes(queries),
    )


def _decoder(predictor: Predictor, data: SampleSet, benchmark: Benchmark, together_at_least: int) -> SystemUnderTest:
    """Prepare decoding steps; the texts of a batch are joined before the clock starts."""
    queries = prepared_queries(predictor, data, benchmark, PREPARED_STEPS)
    fixed = fixed_batch(predictor.inputs)
    size = 1 if fixed else max(together_at_least, offline_batch(predictor, benchmark))
    inputs = predictor.inputs
    batch = queries[0] if fixed else together(_singles(queries, inputs, benchmark), inputs, size)

    def answer(query: int) -> None:
        predictor.run(queries[query])

    def answer_batch(indices: Sequence[int]) -> None:
        full = len(indices) == size
        predictor.run(batch if full else part_of(batch, inputs, 0, len(indices)))

    return SystemUnderTest(answer, answer_batch, len(queries), size, fixed or 1, shapes=_shapes(queries))


def _shapes(queries: Sequence[Feed]) -> list[tuple[tuple[int, ...], ...]]:
    return [tuple(array.shape for array in query.values()) for query in queries]


def _singles(queries: Sequence[Feed], inputs: Sequence[TensorInfo], benchmark: Benchmark) -> list[Feed]:
    """Split queries into steps of one text each."""
    return [part_of(query, inputs, row, row + 1) for query in queries for row in range(benchmark.batch_size)]


def prepared_queries(predictor: Predictor, data: SampleSet, benchmark: Benchmark, limit: int) -> list[Feed]:
    """Return up to `limit` queries, evenly spread over the data, in at most PREPARED_BYTES.

    A query of a language model with a KV cache is a decoding step. Raises InvalidInput if the model fixes a different
    batch size.
    """
    size, fixed = benchmark.batch_size, fixed_batch(predictor.inputs)
    if fixed is not None and fixed != size:
        problem = f"the model's batch is fixed at {fixed}"
        raise InvalidInput(INVALID_INPUT, "spec.benchmark.batchSize", size, problem, f"set it to {fixed}")
    queries: list[Feed] = []
    used = 0
    for start in _spread(len(data), limit, size):
        indices = [(start + offset) % len(data) for offset in range(size)]
        feed = _query(predictor, data, indices, benchmark)
        used += sum(array.nbytes for array in feed.values())
        if queries and used > PREPARED_BYTES:
            break
        queries.append(feed)
    return queries


def _query(predictor: Predictor, data: SampleSet, indices: Sequence[int], benchmark: Benchmark) -> Feed:
    if takes_past(predictor.inputs):
        return decode_step(predictor, data, indices, benchmark)
    return data.batch(indices, predictor.inputs, benchmark.sequence_length)


def offline_batch(predictor: Predictor, benchmark: Benchmark) -> int:
    """Return the samples of one call in the offline scenario."""
    if fixed_batch(predictor.inputs) is not None:
        return 1  # one prepared query, which is the model's whole batch
    if takes_past(predictor.inputs):
        return texts_at_once(predictor.inputs, benchmark, OFFLINE_BATCH)
    return max(benchmark.batch_size, OFFLINE_BATCH)


def _spread(count: int, limit: int, step: int) -> list[int]:
    """Return the first samples of up to `limit` queries of `step` samples, evenly spread over the data."""
    wanted = min(limit, max(1, count // step))
    return [index * count // wanted for index in range(wanted)]
