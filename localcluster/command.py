"""Run a program to its end."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcluster.errors import LocalClusterError

_SHOWN_LINES = 25


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    remedy: str = "",
    timeout: float | None = None,
) -> str:
    """Run a program and return its standard output.

    Raises LocalClusterError with the end of its output and the remedy if it fails or cannot be started.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise LocalClusterError(f"{words[0]} is not installed. {remedy}".strip()) from error
    except subprocess.TimeoutExpired as error:
        raise LocalClusterError(f"`{' '.join(words)}` did not end within {timeout} s. {remedy}".strip()) from error
    if done.returncode != 0:
        printed = (done.stdout + done.stderr).strip().splitlines()[-_SHOWN_LINES:]
        tail = "\n".join(printed)
        raise LocalClusterError(f"`{' '.join(words)}` ended with {done.returncode}. {remedy}\n{tail}".strip())
    return done.stdout
