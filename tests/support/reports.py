"""A report in which every kind of thing happened, for the tests of what is made of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from compressionjob.estimate import Estimate
from compressionjob.report import (
    ArtifactReport,
    CandidateReport,
    Environment,
    FallbackReport,
    FileReport,
    JobReport,
    Look,
    ModelFigures,
    NoiseReport,
    ObjectiveLooks,
    Provenance,
    Report,
    SourceReference,
    StageReport,
)
from compressionjob.review import ReviewOutcome
from compressionjob.trust_report import (
    Attribution,
    AttributionsReport,
    DisturbedFigures,
    Flip,
    FlipsReport,
    GroupFigures,
    GroupsReport,
    RobustnessReport,
    TrustReport,
)
from compressionjob.verdict import LimitVerdict, ObjectiveResult

REPORT_V1 = Path(__file__).parents[1] / "unit" / "compressionjob" / "data" / "report-v1.json"
"""report.json of a small run as it has been written since schema version 1; what comes later must read it."""
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>\'"&'


def objective(name: str, verdict: str, **more: Any) -> ObjectiveResult:
    """One limit with what was measured."""
    return ObjectiveResult.model_validate({"name": name, "verdict": verdict, **more})


OBJECTIVES = [
    objective("quality.drop", "Pass", unit="score", limit=0.01, measured=0.0061, low=0.0059, high=0.0063),
    objective("latency", "Fail", unit="seconds", limit=0.005, measured=0.0073, low=0.0071, high=0.0080),
    objective("latency.speedup", "Pass", direction="at least", limit=1.5, measured=1.87, low=1.8, high=1.95),
    objective("throughput", "Inconclusive", direction="at least", unit="samples per second", limit=150.0,
               measured=151.0, low=140.0, high=162.0),
    objective("size.ratio", "Pass", limit=0.26, measured=0.2532, low=0.2532, high=0.2532),
    objective("memory", "Inconclusive", unit="bytes", limit=1.2e8),
]  # fmt: skip


def side(size: int, factor: float) -> ModelFigures:
    """Return figures of a model that is `factor` times slower than the compressed one."""
    latencies = {name: Estimate(value=v * factor, low=v * factor * 0.99, high=v * factor * 1.02)
                 for name, v in (("p50", 0.0067), ("p90", 0.0070), ("p99", 0.0073))}  # fmt: skip
    return ModelFigures(
        size_bytes=size,
        peak_memory_bytes=int(size * 2.2),
        latency_seconds={name: latency.value for name, latency in latencies.items()},
        latency_intervals=latencies,
        throughput_per_second=151.0 / factor,
        throughput_interval=Estimate(value=151.0 / factor, low=140.0 / factor, high=162.0 / factor),
        quality={"cosine": 1.0 if factor > 1 else 0.9939, "neighbours": 1.0 if factor > 1 else 0.93},
    )


def report(**changes: Any) -> Report:
    """Return a report with all parts; `changes` replace fields."""
    generator = np.random.default_rng(0)
    spec: dict[str, JsonValue] = {
        "model": {"source": "s3://models/minilm", "task": "text-embedding"},
        "sla": {"latency": {"percentile": "p99", "max": "5ms"}},
        "output": {"destination": "s3://models/minilm-int8"},
    }
    complete = Report(
        job=JobReport(name="minilm-int8", namespace="research", uid="1234", spec=spec),
        verdict="Fail",
        confidence=0.95,
        sentence="1 limit is broken: latency",
        objectives=OBJECTIVES,
        baseline=side(90_900_000, 1.87),
        compressed=side(23_017_000, 1.0),
        speedups={"p99": Estimate(value=1.87, low=1.8, high=1.95)},
        quality_drops={
            "cosine": Estimate(value=0.0061, low=0.0059, high=0.0063),
            "neighbours": Estimate(value=0.07, low=0.05, high=0.09),
        },
        stages=[
            StageReport(name="export", method="export", fingerprint="ab" * 32, size_bytes=90_400_000, seconds=1.5,
                        reused=True),
            StageReport(name="smaller", method="quantize", parameters={"dtype": "int8"}, fingerprint="cd" * 32,
                        size_bytes=23_017_000, seconds=0.97, reused=False),
        ],
        latency_samples={
            "baseline": list(0.0125 + generator.exponential(0.0002, 700)),
            "compressed": [*(0.0067 + generator.exponential(0.0001, 699)), 0.5],
        },
        timings={"preflight": 0.5, "stages": 9.5, "measuring": 30.0, "latency": 20.0, "memory": 10.0},
        environment=Environment(
            threads=2, measured_cpus="0-1", isolation="Turns", pinned=True, noise=NoiseReport(steal_share=0.031),
            notes=["the hypervisor took 3% away"],
        ),
        provenance=Provenance(
            source=SourceReference(uri="s3://models/minilm", digest="sha256:feed"), versions={"onnx": "1.23.2"}
        ),
        artifact=ArtifactReport(
            uri="", digest="sha256:cafe", files=[FileReport(path="m.onnx", size_bytes=1, sha256="99")]
        ),
    )  # fmt: skip
    return Report.model_validate({**dict(complete), **changes})


def looks(
    name: str, counts: str, rows: Sequence[tuple[float, int, Estimate, LimitVerdict]], **more: Any
) -> ObjectiveLooks:
    """Return the looks at one objective: (seconds, count, interval, verdict) of each."""
    listed = [
        Look(seconds=seconds, count=count, value=at.value, low=at.low, high=at.high, verdict=verdict)
        for seconds, count, at, verdict in rows
    ]
    return ObjectiveLooks.model_validate({"objective": name, "counts": counts, "looks": listed, "planned": 10, **more})


def looked_at(**changes: Any) -> Report:
    """Return a report with looks at limits that are decided early, late or not at all, one of them without a bound."""
    endless = Estimate(value=0.0073, low=0.0035, high=86_400.0)
    listed = [
        looks("quality.drop", "samples", [
            (2.0, 125, about(0.0067, 0.0045), "Inconclusive"), (4.1, 250, about(0.0061, 0.0021), "Pass"),
        ], planned=4, resolution=0.0021, seconds_for_half=16.4),
        looks("latency", "queries", [
            (9.0, 75, endless, "Inconclusive"),
            (11.0, 130, Estimate(value=0.0072, low=0.0041, high=0.0118), "Inconclusive"),
            (20.0, 390, Estimate(value=0.0073, low=0.0055, high=0.0091), "Fail"),
            (67.0, 1880, Estimate(value=0.0073, low=0.0071, high=0.0080), "Fail"),
        ], began=6.0, resolution=0.0002, seconds_for_half=244.0),
        looks("latency.speedup", "queries", [
            (9.0, 75, about(1.9, 0.5), "Inconclusive"), (11.0, 130, about(1.88, 0.3), "Pass"),
            (20.0, 390, about(1.86, 0.15), "Pass"), (67.0, 1880, about(1.87, 0.08), "Pass"),
        ], began=6.0, resolution=0.08, seconds_for_half=244.0),
        looks("throughput", "blocks", [
            (70.0, 4, about(155.0, 40.0), "Inconclusive"), (80.0, 12, about(152.0, 20.0), "Inconclusive"),
            (140.0, 60, about(151.0, 11.0), "Inconclusive"),
        ], began=67.0, resolution=11.0, seconds_for_half=292.0),
        looks("memory", "processes", [(6.0, 3, about(5.06e7, 4e5), "Pass")], began=4.1, planned=4,
              resolution=4e5, seconds_for_half=7.6),
    ]  # fmt: skip
    memory = objective("memory", "Pass", unit="bytes", limit=1.2e8, measured=5.06e7, low=5.02e7, high=5.1e7)
    return report(**{"looks": listed, "objectives": [*OBJECTIVES[:-1], memory], **changes})


def stage(name: str, fingerprint: str, size: int, **more: Any) -> StageReport:
    """Return a stage."""
    fields = {"name": name, "method": name, "fingerprint": fingerprint * 32, "size_bytes": size, "seconds": 1.0}
    return StageReport.model_validate({"reused": False, **fields, **more})


def fallen_back(**changes: Any) -> Report:
    """Return a report of a pipeline whose last stage broke quality, so that `sparse` is published instead."""
    broken = objective("quality.drop", "Fail", unit="score", limit=0.01, measured=0.4321, low=0.42, high=0.44)
    kept = objective("quality.drop", "Pass", unit="score", limit=0.01, measured=0.0012, low=0.001, high=0.0014)
    lesser = objective("quality.drop", "Fail", unit="score", limit=0.01, measured=0.0456, low=0.04, high=0.05)
    sparse, export, half = stage("sparse", "ab", 90_400_000), stage("export", "ef", 90_300_000), stage("half", "9a", 45)
    fallback = FallbackReport(
        sentence="the result of sparse is published",
        published="sparse",
        given_up=["half", "two-bits"],
        verdict="Fail",
        verdict_sentence="1 limit is broken: quality.drop",
        objectives=[broken],
        figures=side(9_300_000, 0.8).model_copy(update={"quality": {"cosine": 0.5679}}),
        speedups={"p50": Estimate(value=2.34, low=2.3, high=2.4)},
        stages=[sparse, half, stage("two-bits", "cd", 9_300_000)],
        candidates=[
            CandidateReport(stage="half", fingerprint="9a" * 32, size_bytes=45_200_000, measured=True, verdict="Fail",
                            sentence="violated", objectives=[lesser], quality={"cosine": 0.9544}),
            CandidateReport(stage="sparse", fingerprint="ef" * 32, size_bytes=90_300_000, measured=True,
                            verdict="Pass", sentence="all hold", objectives=[kept], quality={"cosine": 0.9988}),
        ],
        results=3,
    )  # fmt: skip
    fields = {
        "verdict": "Pass",
        "published": True,
        "objectives": [kept],
        "stages": [sparse, export],
        "speedups": {"p50": Estimate(value=1.01, low=1.0, high=1.02)},
        "fallback": fallback,
    }
    return report(**{**fields, **changes})


def reviewed(**changes: Any) -> Report:
    """A report of a result that a person has approved."""
    outcome = ReviewOutcome(
        name="first", reviewer="rita@example.com", decision="Approve", reason="the report is read", time="2026-11-24"
    )
    return report(**{"verdict": "Inconclusive", "published": True, "review": outcome, **changes})


def about(value: float, half: float = 0.01) -> Estimate:
    """A figure with an interval to both sides."""
    return Estimate(value=value, low=value - half, high=value + half)


PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


def trusted(picture: str = PIXEL, name: str = "spam") -> Report:
    """A report with everything that averages hide: a group that suffers, an attack that works, answers that changed."""
    groups = GroupsReport(
        column="kind",
        metric="accuracy",
        groups=[
            GroupFigures(name=name, samples=1840, baseline=about(0.91), compressed=about(0.63)),
            GroupFigures(name="ham", samples=114, baseline=about(0.97), compressed=about(0.96)),
        ],
        baseline_worst=about(0.91),
        compressed_worst=about(0.63),
        baseline_gap=about(0.06),
        compressed_gap=about(0.33),
        gap_increase=about(0.27),
    )
    attack = DisturbedFigures(
        disturbance="attack", kind="pgd", severity=0.05, unit="of the channel's range", baseline=about(0.71),
        compressed=about(0.42), drop=about(0.29), method="10 steps",
    )  # fmt: skip
    blur = DisturbedFigures(
        disturbance="corruption", kind="blur", severity=3, unit="of 5", baseline=about(0.81), compressed=about(0.8),
        drop=about(0.01),
    )  # fmt: skip
    image = Attribution(
        sample=312, answer=8, features=["0,0", "0,1", "1,0", "1,1"], grid=[2, 2], picture=picture,
        baseline=[0.5, -0.25, 0.1, 0.0], compressed=[0.4, -0.2, 0.1, 0.0], agreement=0.9973,
    )  # fmt: skip
    table = Attribution(
        sample=17, answer=1, features=[f"mean {at}" for at in range(10)], values=[f"{at}.5" for at in range(10)],
        baseline=[at / 10 for at in range(10)], compressed=[-at / 10 for at in range(10)], agreement=-0.9,
    )  # fmt: skip
    return report(
        trust=TrustReport(
            groups=groups,
            robustness=RobustnessReport(
                judged_by="labels", samples=500, baseline_clean=about(0.83), compressed_clean=about(0.82),
                disturbed=[blur, attack],
            ),
            attributions=AttributionsReport(
                method="KernelSHAP", samples=32, agreement=about(0.9412), examples=[image, table]
            ),
            flips=FlipsReport(
                share=about(0.03), samples=1000, flipped=30, broken=21, mended=9,
                examples=[Flip(sample=244, label=2, baseline=2, compressed=6)],
            ),
        )
    )  # fmt: skip
