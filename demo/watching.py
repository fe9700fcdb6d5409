"""Follow a job as `kubectl get cpj -w` shows it, to its end."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from localcluster import tools

Print = Callable[[str], None]


class JobTimeoutError(RuntimeError):
    """The job did not end in time."""


def follow(kubeconfig: Path, namespace: str, name: str, say: Print, seconds: float = 900) -> dict[str, Any]:
    """Print every change of phase, stage and progress, and return the job once it has ended.

    Raises JobTimeoutError with the last state when it has not after ``seconds``.
    """
    command: list[str | Path] = [
        tools.kubectl(), "--kubeconfig", kubeconfig, "--namespace", namespace,
        "get", "cpj", name, "--watch", "--output=json",
    ]  # fmt: skip
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    timer = threading.Timer(seconds, watch.kill)
    timer.start()
    shown = ""
    try:
        for job in _objects(watch):
            line = _line(job)
            if line != shown:
                say(line)
                shown = line
            if job.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                return job
    finally:
        timer.cancel()
        watch.kill()
        watch.wait()
    raise JobTimeoutError(f"{name} did not end within {seconds:.0f} s; its last state: {shown}")


def _objects(watch: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    assert watch.stdout is not None
    decoder, text = json.JSONDecoder(), ""
    for line in watch.stdout:
        text += line
        if line.rstrip() == "}":
            found, _ = decoder.raw_decode(text)
            text = ""
            yield found


def _line(job: dict[str, Any]) -> str:
    status = job.get("status", {})
    progress = status.get("progress")
    return (
        f"{job['metadata']['name']:<20} {status.get('phase', ''):<10} {status.get('stage', ''):<14} "
        f"{'' if progress is None else f'{progress} %':>6}  {status.get('verdict', ''):<12}".rstrip()
    )
