"""Known servers: the stand-in of the tests, whose times to first token and gaps between tokens are drawn."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.truth.predictors import Service
from benchmarks.truth.runs import CONFIDENCE, FASTER, Look
from compression_runner.evaluation.serving.client import Client, Request
from compression_runner.evaluation.serving.judged import kept
from compression_runner.evaluation.serving.load import Load, run_load
from compression_runner.evaluation.serving.served_block import ServedBlock
from compression_runner.evaluation.serving.servers import ServerCommands, Servers
from compression_runner.evaluation.serving.serving import ServingPlan, measure_serving
from compression_runner.evaluation.serving.serving_run import ServingRun
from compression_runner.evaluation.speed.latency_run import QUANTILES
from compression_runner.evaluation.statistics.alpha_spending import each_look
from compressionjob.estimate import Estimate
from compressionjob.objectives import Sla
from tests.support.completions_server import command

FIRST: Final = Service(0.004, 0.004)
"""The time to the first token of the compressed model."""
GAP: Final = Service(0.001, 0.001)
TOKENS: Final = 4
SLOTS: Final = 256
"""More than the requests in flight, so that a request never waits for others."""
LOADS: Final = {"Served, 4 at a time": Load(concurrency=4), "Served, Poisson": Load(rate=250.0)}
START_SECONDS: Final = 300.0
"""Longest start of a server on a busy machine."""
SECONDS: Final = 4.0
"""The time limit of a run."""
PERCENTILES: Final = {"ttft": "p90", "interToken": "p90", "timePerOutputToken": "p50"}
"""Judged percentiles of the compressed model; TTFT is also judged as a ratio at p50."""
RATIO: Final = "ttft ratio"
GOODPUT: Final = "goodput"
GOOD: Final = Sla.model_validate({"ttft": {"max": "10ms"}, "timePerOutputToken": {"max": "2.5ms"}})
"""The limits that a request of the goodput keeps."""
CALIBRATION_REQUESTS: Final = 10_000
REQUEST: Final = Request("stand-in", [[1] * 8] * 16, TOKENS, exact=True, timeout=60.0)

Run = Callable[[dict[str, float], int], dict[str, Any]]
"""Takes the truth and a seed; measures once."""


def truth_of(name: str) -> dict[str, float]:
    """Return the true values under a load, from many requests to each server of a quiet machine."""
    load = LOADS[name]
    with _servers(seed=999_983) as servers:
        blocks = [_long_block(servers, side, load) for side in (0, 1)]
    compressed = blocks[1]
    medians = [float(np.median(block.seconds("ttft"))) for block in blocks]
    truth = {
        _title(latency): float(np.quantile(compressed.seconds(latency), QUANTILES[percentile]))
        for latency, percentile in PERCENTILES.items()
    }
    truth[RATIO] = medians[1] / medians[0]
    if load.at_random:
        keeps = kept(GOOD, ServingRun(True, [(blocks[0], compressed)]))[1][0]
        truth[GOODPUT] = load.rate * float(keeps.mean())
    return truth


@contextmanager
def runs_of(name: str, first_seed: int) -> Iterator[Run]:
    """Start both servers, and yield a function that measures them once; the times depend on the first seed."""
    with _servers(first_seed) as servers:
        yield lambda truth, seed: _run(servers, LOADS[name], truth, seed)


@contextmanager
def _servers(seed: int) -> Iterator[Servers]:
    with tempfile.TemporaryDirectory() as folder:
        commands = [
            command(
                Path(folder) / f"{side}.log",
                START_SECONDS,
                ttft=factor * FIRST.least,
                ttft_more=factor * FIRST.mean,
                gap=factor * GAP.least,
                gap_more=factor * GAP.mean,
                slots=SLOTS,
                length=TOKENS,
                seed=2 * seed + side,
            )
            for side, factor in enumerate((FASTER, 1.0))
        ]
        with Servers(ServerCommands("stand-in", (commands[0], commands[1]), resident=True)) as servers:
            yield servers


def _long_block(servers: Servers, side: int, load: Load) -> ServedBlock:
    with Client(servers.url(side), REQUEST) as client:
        return ServedBlock(run_load(client, load, len(REQUEST.prompts), CALIBRATION_REQUESTS, seed=1), TOKENS)


def _run(servers: Servers, load: Load, truth: dict[str, float], seed: int) -> dict[str, Any]:
    """Measure once, to the time limit; return every look, a single look at the end, and the noise."""
    plan = ServingPlan(load, QUANTILES["p90"], each_look(CONFIDENCE), SECONDS, seed=1 + seed)
    looks: list[Look] = []
    began = time.monotonic()

    def look(so_far: ServingRun) -> bool:
        looks.append({"seconds": round(time.monotonic() - began, 3), **_ends(so_far, truth, plan.confidence)})
        return False

    measured = measure_serving(servers, REQUEST, plan, decided=look)
    noise = measured.noise
    return {
        "seed": seed,
        "truth": truth,
        "looks": looks,
        "fixed": {"seconds": looks[-1]["seconds"], **_ends(measured, truth, CONFIDENCE)},
        "otherShare": round(noise.other_share, 4) if noise else math.nan,
        "lostShare": round(noise.lost_share, 4) if noise else math.nan,
        "queries": measured.requests,
    }


def _ends(run: ServingRun, truth: dict[str, float], confidence: float) -> dict[str, list[float]]:
    estimates: dict[str, Estimate | None] = {
        _title(name): run.latency(1, name, percentile, confidence) for name, percentile in PERCENTILES.items()
    }
    estimates[RATIO] = run.ratio("ttft", "p50", confidence)
    if GOODPUT in truth:
        estimates[GOODPUT] = run.goodput(1, kept(GOOD, run), confidence)
    return {name: [it.low, it.value, it.high] for name, it in estimates.items() if it}


def _title(name: str) -> str:
    return f"{name} {PERCENTILES[name]}"
