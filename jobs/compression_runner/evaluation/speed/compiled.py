"""Compile models for all sizes of a measurement before the measurement."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from compression_runner.evaluation.speed.scenario import SystemUnderTest
from compression_runner.inference.predictor import Predictor


@contextmanager
def compiled(
    predictors: Sequence[Predictor], sides: Sequence[SystemUnderTest], batches: Iterable[int]
) -> Iterator[None]:
    """Answer one prepared query of each shape, and one batch of each number of samples.

    In the block, a run that would compile fails, so that no latency includes a compilation. Models that are not
    compiled answer nothing.
    """
    if not any(predictor.compiles for predictor in predictors):
        yield
        return
    from compression_runner.inference.torch_modules import no_compiling

    for side in sides:
        for query in {shape: index for index, shape in enumerate(side.shapes)}.values():
            side.answer(query)
        for size in batches:
            side.answer_batch([index % side.samples for index in range(size)])
    with no_compiling():
        yield
