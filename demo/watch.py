"""Follow a job to its end, as `kubectl get cpj -w` does."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from localcluster import tools

Print = Callable[[str], None]
PAUSE = 1.0
"""Seconds between two watches."""


class JobTimeoutError(RuntimeError):
    """The job did not end in time."""


def follow(kubeconfig: Path, namespace: str, name: str, say: Print, seconds: float = 900) -> dict[str, Any]:
    """Print every change of phase, stage and progress, and return the job once it has ended.

    Raises JobTimeoutError with the last state if it has not ended after ``seconds``.
    """
    command: list[str | Path] = [
        tools.kubectl(), "--kubeconfig", kubeconfig, "--namespace", namespace,
        "get", "cpj", name, "--watch", "--output=json",
    ]  # fmt: skip
    end, shown = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        # A server ends every watch after about half an hour. The next one starts with the current object.
        with closing(_watched(command, end - time.monotonic())) as jobs:
            for job in jobs:
                line = _line(job)
                if line != shown:
                    say(line)
                    shown = line
                if job.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                    return job
        time.sleep(min(PAUSE, max(0.0, end - time.monotonic())))
    raise JobTimeoutError(f"{name} did not end within {seconds:.0f} s; its last state: {shown}")


def _watched(command: list[str | Path], seconds: float) -> Generator[dict[str, Any], None, None]:
    """Yield the objects of one watch until it ends or the time is over."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        timer = threading.Timer(seconds, watch.kill)
        timer.start()
        try:
            yield from _objects(watch)
        finally:
            timer.cancel()
            watch.kill()


def _objects(watch: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    assert watch.stdout is not None
    decoder, text = json.JSONDecoder(), ""
    for line in watch.stdout:
        text += line
        if line.rstrip() == "}":
            job, _ = decoder.raw_decode(text)
            text = ""
            yield job


def _line(job: dict[str, Any]) -> str:
    status = job.get("status", {})
    progress = status.get("progress")
    return (
        f"{job['metadata']['name']:<20} {status.get('phase', ''):<10} {status.get('stage', ''):<14} "
        f"{'' if progress is None else f'{progress} %':>6}  {status.get('verdict', ''):<12}".rstrip()
    )
