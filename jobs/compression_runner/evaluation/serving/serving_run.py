"""Compare two served models from alternating blocks under the same load; a bootstrap draws whole blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.machine.noise import Noise
from compression_runner.evaluation.serving.model_run import ModelRun, noise_of
from compression_runner.evaluation.serving.served_block import Alone, ServedBlock
from compression_runner.evaluation.speed.latency_run import MODELS, QUANTILES
from compression_runner.evaluation.statistics.block_bootstrap import at_most_ratio, resampled, speedup_interval
from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, Weights, interval
from compression_runner.evaluation.statistics.paired_shares import each_of
from compressionjob.estimate import UNBOUNDED_RATIO, UNBOUNDED_SECONDS, Estimate


@dataclass
class ServingRun:
    """Pairs of blocks of both models under the same load; block i of one ran next to block i of the other."""

    at_random: bool
    pairs: list[tuple[ServedBlock, ServedBlock]] = field(default_factory=list)
    alone: tuple[Alone, Alone] | None = None

    @property
    def requests(self) -> int:
        """Measured requests to each model."""
        return sum(len(pair[1].answers) for pair in self.pairs)

    @property
    def noise(self) -> Noise | None:
        """The noise during all blocks together."""
        return noise_of([block for pair in self.pairs for block in pair])

    def blocks(self, side: int) -> list[ServedBlock]:
        """Return the blocks of the baseline (0) or the compressed model (1)."""
        return [pair[side] for pair in self.pairs]

    def seconds(self, side: int, name: str) -> NDArray[np.float64]:
        """Return all values of a latency."""
        return self.model(side).seconds(name)

    def failed(self, side: int) -> int:
        """Return the number of requests that failed."""
        return self.model(side).failed

    def model(self, side: int) -> ModelRun:
        """Return the blocks of one model, with the noise of both."""
        alone = self.alone[side] if self.alone else None
        return ModelRun(self.at_random, self.blocks(side), alone, self.noise)

    def latency(self, side: int, name: str, quantile_name: str, confidence: float) -> Estimate:
        """Return a percentile of a latency; unbounded if the server falls behind its arrivals, or without values."""
        return self.model(side).latency(name, quantile_name, confidence)

    def ratio(self, name: str, quantile_name: str, confidence: float) -> Estimate | None:
        """Return the compressed model's latency divided by the baseline's; None if neither is bounded."""
        each = each_of(2, confidence)
        ends = [self.latency(side, name, quantile_name, each) for side in (0, 1)]
        before, after = ends
        if min(before.low, after.low) >= UNBOUNDED_SECONDS or before.value <= 0:
            return None
        reason = "; ".join(f"{model}: {end.reason}" for model, end in zip(MODELS, ends, strict=True) if end.reason)
        value = at_most_ratio(after.value, before.value)
        low, high = after.low / before.high, at_most_ratio(after.high, before.low)
        bounded = max(before.high, after.high) < UNBOUNDED_SECONDS
        if bounded and not reason and self._one_value_each(name) and resampled(confidence, len(self.pairs)):
            # A slowdown of both blocks of a pair cancels, which two separate intervals do not know.
            blocks = [[block.seconds(name) for block in self.blocks(side)] for side in (1, 0)]
            quantile = QUANTILES[quantile_name]
            paired = speedup_interval(blocks[0], blocks[1], quantile, confidence, queued=True)
            low = paired.low * self.model(1).left(name, quantile)
            high = at_most_ratio(paired.high, self.model(0).left(name, quantile))
        return Estimate(value=value, low=min(low, value), high=max(high, value), reason=reason)

    def _one_value_each(self, name: str) -> bool:
        """Return whether every request has one value of a latency, and all blocks have as many requests.

        Only then are blocks worth no more than requests, and all of their values count. Gaps of one request are alike.
        """
        sizes = {len(block.answers) for pair in self.pairs for block in pair}
        each = (len(values) == 1 for pair in self.pairs for block in pair for values in block.by_request(name))
        return len(sizes) == 1 and all(each)

    def goodput(self, side: int, keeps: Sequence[Sequence[NDArray[np.bool_]]], confidence: float) -> Estimate:
        """Return the requests a second that keep the limits: `keeps[side][block]` marks them."""
        return self.model(side).goodput(keeps[side], confidence)

    def goodput_ratio(self, keeps: Sequence[Sequence[NDArray[np.bool_]]], confidence: float) -> Estimate | None:
        """Return the compressed model's goodput divided by the baseline's; None if the baseline's is 0."""
        before, after = (self.goodput(side, keeps, each_of(2, confidence)) for side in (0, 1))
        if before.value <= 0:
            return None
        value = after.value / before.value
        high = at_most_ratio(after.high, before.low) if before.low > 0 else UNBOUNDED_RATIO
        reason = "; ".join(dict.fromkeys(filter(None, (before.reason, after.reason))))
        return Estimate(value=value, low=min(value, after.low / before.high), high=max(value, high), reason=reason)

    def length_ratio(self, confidence: float) -> Estimate:
        """Return the mean length of the compressed model's answers divided by that of the baseline's."""
        return length_ratio(self.blocks(0), self.blocks(1), confidence)


def length_ratio(before: Sequence[ServedBlock], after: Sequence[ServedBlock], confidence: float) -> Estimate:
    """Return the mean length of answers in the blocks after, divided by that in the blocks before.

    Answers are greedy, so a prompt that is drawn again says nothing new: prompts are resampled. A failed request
    could have had any length, which counts for each end of the interval.
    """
    value, low = _length_ratio((before, after), confidence, (1.0, 0.0))
    _, high = _length_ratio((before, after), confidence, (0.0, 1.0))
    return Estimate(value=value.value, low=min(low.low, value.value), high=max(high.high, value.value))


def _length_ratio(
    blocks: tuple[Sequence[ServedBlock], Sequence[ServedBlock]], confidence: float, failed: tuple[float, float]
) -> tuple[Estimate, Estimate]:
    """Return the ratio as measured, and with failed answers at these shares of the longest length."""
    measured, filled = (
        _of_both(*(_mean_lengths(each, share) for each, share in zip(blocks, shares, strict=True)))
        for shares in ((None, None), failed)
    )
    return _ratio_of_means(measured, confidence), _ratio_of_means(filled, confidence)


def _mean_lengths(blocks: Sequence[ServedBlock], failed: float | None) -> dict[int, float]:
    """Return the mean length of the answers to each prompt."""
    by_prompt: dict[int, list[float]] = {}
    for block in blocks:
        for answer in block.answers:
            filled = answer.error and failed is not None
            length = (failed or 0.0) * block.longest if filled else float(len(answer.tokens))
            by_prompt.setdefault(answer.prompt, []).append(length)
    return {prompt: float(np.mean(lengths)) for prompt, lengths in by_prompt.items()}


def _of_both(before: dict[int, float], after: dict[int, float]) -> NDArray[np.float64]:
    """Return the values of the prompts that both models got, shape (2, prompts): a slow model may have got fewer."""
    prompts = sorted(before.keys() & after.keys())
    return np.array([[each[prompt] for prompt in prompts] for each in (before, after)])


def _ratio_of_means(lengths: NDArray[np.float64], confidence: float) -> Estimate:
    """Return the ratio of the means of two rows, shape (2, prompts), with its interval over prompts."""
    before, after = lengths
    ratios = after / np.maximum(before, 1.0)
    kinds = Kinds(np.ones(len(before), dtype=np.int64), best=int(ratios.argmax()), worst=int(ratios.argmin()))

    def ratio(weights: Weights) -> NDArray[np.float64]:
        return np.asarray(weights @ after / np.maximum(weights @ before, 1e-9), dtype=np.float64)

    return interval(kinds, ratio, confidence)
