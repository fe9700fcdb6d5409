"""Jobs as the API server returns them, and a terminal with recorded output."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import RenderableType

from kubectl_compress.display.console import PlainConsole
from kubectl_compress.display.terminal import Terminal
from kubectl_compress.job import Job
from tests.support import manifests

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
DIGEST = "sha256:" + "4f" * 32
OBJECTIVES: list[dict[str, Any]] = [
    {
        "name": "latency", "direction": "at most", "unit": "seconds", "limit": 0.02, "measured": 0.0073,
        "low": 0.0071, "high": 0.0078, "verdict": "Pass",
    },
    {
        "name": "size.ratio", "direction": "at most", "unit": "ratio", "limit": 0.26, "measured": 0.2512,
        "low": 0.2512, "high": 0.2512, "verdict": "Pass",
    },
]  # fmt: skip
BASELINE = {
    "sizeBytes": 90_900_000, "peakMemoryBytes": 412_000_000, "latencySeconds": {"p50": 0.0131, "p99": 0.0202},
    "throughputPerSecond": 142.0, "quality": {"cosine": 1.0},
}  # fmt: skip
COMPRESSED = {
    "sizeBytes": 22_830_000, "peakMemoryBytes": 201_000_000, "latencySeconds": {"p50": 0.0052, "p99": 0.0073},
    "throughputPerSecond": 311.0, "quality": {"cosine": 0.9969},
}  # fmt: skip


def stamp(seconds: float = 0) -> str:
    """Return the time ``seconds`` after NOW."""
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(kind: str, status: str, reason: str, message: str = "", seconds: float = -60) -> dict[str, Any]:
    """Return a condition, by default one minute old."""
    return {
        "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": stamp(seconds),
    }  # fmt: skip


def job(name: str = "minilm-int8", status: dict[str, Any] | None = None, **changes: Any) -> Job:
    """Return a job that is two minutes old; ``changes`` as in ``manifests.job``."""
    raw = manifests.job(name, **changes)
    raw["metadata"] |= {
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "namespace": "ml",
        "creationTimestamp": stamp(-120),
    }
    return Job(raw | {"status": status or {}})


def judged(verdict: str = "Pass", phase: str = "Succeeded", **fields: Any) -> dict[str, Any]:
    """Return the status of a job with a verdict."""
    return {
        "phase": phase,
        "verdict": verdict,
        "confidence": "0.95",
        "progress": 100,
        "objectives": OBJECTIVES,
        "baseline": BASELINE,
        "compressed": COMPRESSED,
        "report": "s3://models/minilm-int8-report/report.json",
        "digest": DIGEST,
        "startTime": stamp(-110),
        **fields,
    }


def terminal(*, width: int = 2000, height: int = 50, interactive: bool = False) -> Terminal:
    """Return a terminal that records its output; ``text_of`` and ``notes_of`` return it."""
    consoles = [
        PlainConsole(file=io.StringIO(), width=width, height=height, highlight=False, markup=False, emoji=False)
        for _ in range(2)
    ]
    return Terminal(consoles[0], consoles[1], interactive)


def text_of(screen: Terminal) -> str:
    """Return the text on standard output."""
    assert isinstance(screen.out.file, io.StringIO)
    return screen.out.file.getvalue()


def notes_of(screen: Terminal) -> str:
    """Return the text on standard error."""
    assert isinstance(screen.notes.file, io.StringIO)
    return screen.notes.file.getvalue()


def drawn(*parts: RenderableType) -> str:
    """Return renderables as plain text."""
    screen = terminal()
    screen.show(*parts)
    return text_of(screen)
