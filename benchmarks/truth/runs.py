"""One run: measure two known predictors like a job's models, with several looks and with one look at the end."""

import time
from typing import Any, Final

from benchmarks.truth.predictors import Service, answers_with, overhead, predictor, queue_percentile
from compression_runner.evaluation.machine.noise import noise_between, read_noise
from compression_runner.evaluation.quality.comparison import classification_quality
from compression_runner.evaluation.speed.latency import LatencyPlan, measure_latency
from compression_runner.evaluation.speed.latency_run import QUANTILES, LatencyRun
from compression_runner.evaluation.speed.scenario import SINGLE_STREAM, Scenario
from compression_runner.evaluation.statistics.alpha_spending import LOOKS, each_look, look_of_data, look_sizes
from compressionjob.estimate import Estimate

CONFIDENCE: Final = 0.95
SECONDS: Final = {"SingleStream": 4.0, "Server": 4.0}
"""The time limit of a run."""
FASTER: Final = 1.25
"""Speed-up of the compressed predictor."""
LOST: Final = 0.02
"""Accuracy loss of the compressed predictor."""
SAMPLES: Final = 4000
QUALITY_LOOKS: Final = 4

SERVICES: Final = {"SingleStream": Service(0.0002, 0.0002), "Server": Service(0.0, 0.0004)}
RATE: Final = 1250.0
"""Arrivals per second: the compressed predictor is busy half of the time."""
PERCENTILES: Final = {"SingleStream": ("p50", "p99"), "Server": ("p50", "p90")}
"""Judged percentiles; the last one sizes the run."""
SPEEDUP: Final = "speed-up"

Look = dict[str, Any]
"""Seconds since the run began, and by objective the low end, value and high end of its interval."""


def truth_of(scenario: str) -> dict[str, float]:
    """Return the compressed predictor's true percentiles in seconds, including LoadGen's overhead per query.

    SingleStream adds the speed-up at p50.
    """
    service = SERVICES[scenario]
    added = overhead(service)
    names = PERCENTILES[scenario]
    if scenario == "Server":
        return {name: queue_percentile(service, added, RATE, QUANTILES[name]) for name in names}
    percentiles = {name: service.percentile(QUANTILES[name]) + added for name in names}
    return {**percentiles, SPEEDUP: (FASTER * service.percentile(0.5) + added) / percentiles["p50"]}


def run(scenario: str, truth: dict[str, float], seed: int) -> dict[str, Any]:
    """Measure once, to the time limit; return every look, a single look at the end, and the noise."""
    service = SERVICES[scenario]
    slower = Service(service.least, service.mean, FASTER)
    arrivals = Scenario("Server", RATE) if scenario == "Server" else SINGLE_STREAM
    # Equal arrivals in all runs would put all of them on the same side of the truth.
    plan = LatencyPlan(each_look(CONFIDENCE), PERCENTILES[scenario][-1], SECONDS[scenario], arrivals, seed=seed)
    looks: list[Look] = []
    began, before = time.monotonic(), read_noise()

    def look(so_far: LatencyRun) -> bool:
        looks.append({"seconds": round(time.monotonic() - began, 3), **_ends(so_far, truth, plan.confidence)})
        return False

    measured = measure_latency(predictor(slower, 2 * seed), predictor(service, 2 * seed + 1), plan, decided=look)
    noise = noise_between(before, read_noise())
    return {
        "seed": seed,
        "truth": truth,
        "looks": looks,
        "fixed": {"seconds": looks[-1]["seconds"], **_ends(measured, truth, CONFIDENCE)},
        "otherShare": round(noise.other_share, 4),
        "lostShare": round(noise.lost_share, 4),
        "queries": measured.queries,
    }


def quality_run(seed: int) -> dict[str, Any]:
    """Compare answers of known quality once, with looks at growing numbers of them."""
    old, new, labels = answers_with(LOST, SAMPLES, seed)
    sizes = look_sizes(SAMPLES // 8, SAMPLES, QUALITY_LOOKS)

    def drop(count: int, confidence: float) -> list[float]:
        estimate = classification_quality(old[:count], new[:count], labels[:count], confidence).scores["accuracy"].drop
        assert estimate
        return _three(estimate)

    looks = [
        {"seconds": size, "accuracy lost": drop(size, look_of_data(CONFIDENCE, index, len(sizes)))}
        for index, size in enumerate(sizes)
    ]
    fixed = {"seconds": SAMPLES, "accuracy lost": drop(SAMPLES, CONFIDENCE)}
    return {"seed": seed, "truth": {"accuracy lost": LOST}, "looks": looks, "fixed": fixed}


def _ends(run_so_far: LatencyRun, truth: dict[str, float], confidence: float) -> dict[str, list[float]]:
    ends = {name: _three(run_so_far.percentile(1, name, confidence)) for name in truth if name != SPEEDUP}
    speedup = run_so_far.speedup("p50", confidence) if SPEEDUP in truth else None
    return {**ends, SPEEDUP: _three(speedup)} if speedup else ends


def _three(estimate: Estimate) -> list[float]:
    return [estimate.low, estimate.value, estimate.high]


__all__ = ["CONFIDENCE", "LOOKS", "SECONDS", "SPEEDUP", "quality_run", "run", "truth_of"]
