"""Measure two models on a serving engine, in alternating blocks under the same load.

Both servers run at once where memory allows: an idle server costs no CPU time. Otherwise one runs at a time, and
the order of the blocks is ABBA, so that each start serves two blocks. Both blocks of a pair have the same prompts and
the same arrivals.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from compression_runner.evaluation.machine.energy import used_since
from compression_runner.evaluation.machine.noise import noise_between
from compression_runner.evaluation.serving.client import Client, Request
from compression_runner.evaluation.serving.load import Load, run_load
from compression_runner.evaluation.serving.served_block import Alone, ServedBlock
from compression_runner.evaluation.serving.servers import Servers
from compression_runner.evaluation.serving.serving_run import ServingRun
from compression_runner.evaluation.speed.sizing import MARGIN
from compression_runner.evaluation.statistics.alpha_spending import LOOKS, look_sizes
from compression_runner.evaluation.statistics.order_statistics import few_blocks, queries_needed

FIRST_PAIRS: Final = 8
"""Pairs of blocks at the first look; fewer do not show the variance between blocks."""
FEWEST: Final = 24
"""Fewest measured requests of a block."""
GROWTH_REQUESTS: Final = 16.0
"""Requests of a block for each root of a request in flight, so that a growing queue differs from a varying one."""
SETTLE: Final = 2.0
"""Requests before and after those that are measured, for each one in flight."""
TRIAL: Final = 0.01
"""Most of the time for each half of a trial's settling requests, as a share of the time of the run."""
TRIAL_SEED: Final = 99_999
"""The trial has other arrivals than every block."""
WARM_UP: Final = 3
FEWEST_PAIRS: Final = 2
FEWEST_BLOCKS: Final = 2 * FEWEST_PAIRS
"""No block gets more than its share of the time if there are only so many."""
LEAST_TIMEOUT: Final = 60.0
SLOWER: Final = 20.0
"""A request fails after this many times its duration without a load; at least after LEAST_TIMEOUT."""

Decided = Callable[[ServingRun], bool]
"""Takes the run at a look; returns whether it may end."""


@dataclass(frozen=True)
class ServingPlan:
    """The parameters of a run: the load, the largest judged quantile, the confidence of each look, and the time."""

    load: Load
    quantile: float
    confidence: float
    seconds: float
    looks: int = LOOKS
    seed: int = 0


@dataclass(frozen=True)
class ServingSizing:
    """Pairs of blocks at each look, measured requests of a block, and requests before and after them."""

    looks: tuple[int, ...]
    requests: int
    settle: int


def measure_serving(
    servers: Servers,
    request: Request,
    plan: ServingPlan,
    decided: Decided | None = None,
    advance: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> ServingRun:
    """Return the requests to both servers.

    The run ends at the first look at which `decided` returns true (the first look by default), or at the time limit;
    the first start of each server is not part of it. Raises InvalidInput or BadRecipe if the engine does not serve a
    model, and LoadGenError.
    """
    trials = [_trial(servers, side, request, plan, clock) for side in (0, 1)]
    alone = trials[0].alone, trials[1].alone
    durations = [each.seconds for each in alone]
    request = replace(request, timeout=max(request.timeout, SLOWER * max(durations)))
    start_cost = 0.0 if servers.resident else sum(servers.start_seconds.values()) / 2
    plan = replace(plan, seconds=plan.seconds - sum(trial.seconds for trial in trials))
    sizing = size_serving(plan, durations, start_cost, max(trial.in_flight for trial in trials))
    run = ServingRun(plan.load.at_random, alone=alone)
    generator, start = np.random.default_rng(plan.seed), clock()
    while True:
        done = len(run.pairs)
        late = done >= sizing.looks[-1] or (done >= FEWEST_PAIRS and clock() - start > plan.seconds)
        if (done in sizing.looks or late) and (decided is None or decided(run) or late):
            break
        order = generator.permutation(2) if servers.resident else ((1, 0), (0, 1))[done % 2]
        blocks = {int(side): _block(servers, int(side), request, plan, sizing, done) for side in order}
        run.pairs.append((blocks[0], blocks[1]))
        if advance:
            advance((done + 1) / (done + 1 + sizing.looks[0]))
    if advance:
        advance(1.0)
    return run


def size_serving(
    plan: ServingPlan, durations: list[float], start_seconds: float, in_flight: float = 0.0
) -> ServingSizing:
    """Size a run in which a request without a load takes `durations` seconds, and a pair of blocks one start.

    A trial had `in_flight` requests at a time. At the first look the percentile has bounds at this confidence, if the
    time allows it.
    """
    load = plan.load
    flying = max(in_flight, *(load.concurrency or load.rate * duration for duration in durations))
    # With several requests at a time, each takes longer than alone; the estimate assumes that their number pays off.
    each = [1.0 / load.rate if load.at_random else duration / load.concurrency for duration in durations]
    pair_request = sum(each)
    block = (plan.seconds * MARGIN / FIRST_PAIRS - start_seconds) / pair_request
    settle = load.concurrency or settle_requests(min(flying, block / 4 / SETTLE))
    needed = queries_needed(plan.quantile, plan.confidence, discard=0) / few_blocks(plan.confidence, FIRST_PAIRS)
    fewest = max(FEWEST, GROWTH_REQUESTS * math.sqrt(flying)) if load.at_random else max(FEWEST, 4 * settle)
    requests = max(FEWEST // 2, math.ceil(min(max(needed / FIRST_PAIRS, fewest), block - 2 * settle)))
    pair_seconds = pair_request * (requests + 2 * settle) + start_seconds
    most = max(FIRST_PAIRS, int(plan.seconds * MARGIN / pair_seconds))
    return ServingSizing(look_sizes(FIRST_PAIRS, most, plan.looks), requests, settle)


def settle_requests(in_flight: float) -> int:
    """Return the requests before and after the measured ones, for so many in flight."""
    return max(2, math.ceil(SETTLE * in_flight))


@dataclass(frozen=True)
class _Trial:
    """A server's requests alone, how many it has at a time under the load, and the seconds of that load."""

    alone: Alone
    in_flight: float
    seconds: float


def _trial(servers: Servers, side: int, request: Request, plan: ServingPlan, clock: Callable[[], float]) -> _Trial:
    """Start a server and warm it up; then put it under random arrivals for a while, which shows how many are in flight.

    A server that batches has more requests in flight than its latency without a load suggests.
    """
    alone = requests_alone(servers, side, request)
    if not plan.load.at_random:
        return _Trial(alone, 0.0, 0.0)
    start, settle = clock(), settle_requests(min(plan.load.rate * alone.seconds, TRIAL * plan.seconds * plan.load.rate))
    block = _block(servers, side, request, plan, ServingSizing((), FEWEST, settle), TRIAL_SEED)
    return _Trial(alone, block.loaded.in_flight, clock() - start)


def requests_alone(servers: Servers, side: int, request: Request) -> Alone:
    """Start a server and warm it up; return the seconds of requests without a load."""
    with Client(servers.url(side), request) as client:
        answers = [client.ask(number % len(request.prompts)) for number in range(WARM_UP)]
    servers.require_running(side)
    whole = [answer for answer in answers if not answer.error]
    if not whole:
        raise servers.failed(side, f"it answers no request: {answers[-1].error}")
    return Alone.of(whole)


def _block(
    servers: Servers, side: int, request: Request, plan: ServingPlan, sizing: ServingSizing, pair: int
) -> ServedBlock:
    load = replace(plan.load, settle=sizing.settle, seconds=plan.seconds / FEWEST_BLOCKS)
    seed = 1 + 100_000 * plan.seed + pair
    return served_block(servers, side, request, load, sizing.requests, seed)


def served_block(servers: Servers, side: int, request: Request, load: Load, requests: int, seed: int) -> ServedBlock:
    """Put one model's server under load for so many measured requests; return them with the noise."""
    with Client(servers.url(side), request) as client:
        client.ask(seed % len(request.prompts))
        before = servers.read_noise()
        used = servers.joules()
        loaded = run_load(client, load, len(request.prompts), requests, seed)
        joules = used_since(used, servers.joules())
        noise = noise_between(before, servers.read_noise())
    servers.require_running(side)
    return ServedBlock(loaded, request.longest, noise, joules)
