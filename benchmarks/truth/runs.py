"""One run: two known predictors measured as a job's are, and judged against limits at and beside the truth."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final

import numpy as np

from benchmarks.truth.predictors import Service, answers_with, overhead, predictor, queue_percentile
from compression_runner.evaluation.machine.noise import noise_between, read_noise
from compression_runner.evaluation.quality.comparison import classification_quality
from compression_runner.evaluation.speed.latency import LatencyPlan, measure_latency
from compression_runner.evaluation.speed.latency_run import QUANTILES
from compression_runner.evaluation.speed.scenario import SINGLE_STREAM, Scenario
from compressionjob import sla
from compressionjob.estimate import Estimate
from compressionjob.objectives import Sla

CONFIDENCE: Final = 0.95
SECONDS: Final = 1.5
"""The time limit of a run."""
MARGINS: Final = {
    "SingleStream": {"p50": 0.05, "p99": 0.20, "speed-up": 0.05},
    "Server": {"p50": 0.30, "p90": 0.50},
    "quality": {"accuracy lost": 0.50},
}
"""How far the truth is from a limit that is just kept or just broken: about as far as a run of this length sees."""
FASTER: Final = 1.25
"""How many times as fast the compressed predictor is."""
LOST: Final = 0.02
"""Accuracy that the compressed predictor lost."""
SAMPLES: Final = 2000
CASES: Final = {"kept": 1.0, "at": 0.0, "broken": -1.0}
"""On which side of the truth the limit is: with room for it, on it, or against it."""

SERVICES: Final = {"SingleStream": Service(0.0002, 0.0002), "Server": Service(0.0, 0.0004)}
RATE: Final = 1250.0
"""Arrivals in a second: the compressed predictor is busy half of the time."""
PERCENTILES: Final = {"SingleStream": ("p50", "p99"), "Server": ("p50", "p90")}
"""Those that are judged; the last is what the run is sized for."""


@dataclass(frozen=True)
class Truth:
    """What the compressed predictor's percentiles are, in seconds, and how many times as fast it is at p50."""

    percentiles: dict[str, float]
    speedup: float | None


def truth_of(scenario: str) -> Truth:
    """Return the truth, with what LoadGen itself adds to each query."""
    service = SERVICES[scenario]
    added = overhead(service)
    names = PERCENTILES[scenario]
    if scenario == "Server":
        return Truth({name: queue_percentile(service, added, RATE, QUANTILES[name]) for name in names}, None)
    found = {name: service.percentile(QUANTILES[name]) + added for name in names}
    return Truth(found, (FASTER * service.percentile(0.5) + added) / found["p50"])


def run(scenario: str, truth: Truth, seed: int) -> dict[str, Any]:
    """Measure once; return the verdict of each objective in each case, and what the machine did meanwhile."""
    service = SERVICES[scenario]
    slower = Service(service.least, service.mean, FASTER)
    arrivals = Scenario("Server", RATE) if scenario == "Server" else SINGLE_STREAM
    plan = LatencyPlan(CONFIDENCE, PERCENTILES[scenario][-1], SECONDS, arrivals)
    began, before = time.monotonic(), read_noise()
    found = measure_latency(predictor(slower, 2 * seed), predictor(service, 2 * seed + 1), plan)
    noise = noise_between(before, read_noise())
    verdicts: dict[str, dict[str, str]] = {}
    margins = MARGINS[scenario]
    for name, true in truth.percentiles.items():
        estimate = found.latency_verdict(name, CONFIDENCE)
        limits = {case: true * (1 + margins[name] * room) for case, room in CASES.items()}
        verdicts[name] = {case: _latency(name, limit, estimate) for case, limit in limits.items()}
    speedup = found.speedup_verdict("p50", CONFIDENCE)
    if truth.speedup and speedup:
        limits = {case: truth.speedup / (1 + margins["speed-up"] * room) for case, room in CASES.items()}
        verdicts["speed-up"] = {case: _speedup(limit, speedup) for case, limit in limits.items()}
    return {
        "seed": seed,
        "verdicts": verdicts,
        "disturbed": found.disturbed,
        "otherShare": round(noise.other_share, 4),
        "lostShare": round(noise.lost / noise.elapsed, 4),
        "queries": sum(len(block) for block in found.latencies(1)),
        "seconds": round(time.monotonic() - began, 2),
    }


def quality_run(seed: int) -> dict[str, Any]:
    """Compare answers of known quality once."""
    old, new, labels = answers_with(LOST, SAMPLES, seed)
    drop = classification_quality(old, new, labels, CONFIDENCE).scores["accuracy"].drop
    margin = MARGINS["quality"]["accuracy lost"]
    found = {case: _quality(LOST * (1 + margin * room), drop) for case, room in CASES.items()}
    return {"seed": seed, "verdicts": {"accuracy lost": found}}


@contextmanager
def undisturbed() -> Iterator[None]:
    """Go before every other process (SCHED_FIFO), so that a machine with two CPUs or more is quiet for this one.

    Raises PermissionError where this process may not, which takes root or CAP_SYS_NICE.
    """
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextmanager
def loaded() -> Iterator[None]:
    """Let as many other processes as there are CPUs work in bursts, about half of the time."""
    context = get_context("spawn")
    processes = [context.Process(target=_bursts, args=(seed,), daemon=True) for seed in range(os.cpu_count() or 1)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def _bursts(seed: int) -> None:
    """Work and sleep in turn, until the process that started this one is gone."""
    generator, parent = np.random.default_rng(seed), os.getppid()
    while os.getppid() == parent:
        end = time.monotonic() + float(generator.uniform(0.05, 0.5))
        while time.monotonic() < end:
            pass
        time.sleep(float(generator.uniform(0.05, 0.5)))


def _latency(percentile: str, limit: float, estimate: Estimate) -> str:
    limits = {"latency": {"percentile": percentile, "max": f"{limit * 1e6:.3f}us"}}
    return sla.judge(Sla.model_validate(limits), {sla.LATENCY: estimate}).verdict


def _speedup(limit: float, estimate: Estimate) -> str:
    limits = {"latency": {"percentile": "p50", "minSpeedup": f"{limit:.6f}"}}
    return sla.judge(Sla.model_validate(limits), {sla.SPEEDUP: estimate}).verdict


def _quality(limit: float, estimate: Estimate) -> str:
    limits = {"quality": {"metric": "accuracy", "maxDrop": f"{limit:.6f}"}}
    return sla.judge(Sla.model_validate(limits), {sla.QUALITY_DROP: estimate}).verdict
