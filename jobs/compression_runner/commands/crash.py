"""Write a crash report for an unexpected exception, and log one line that names it.

It replaces `sys.excepthook`, which receives exceptions that no command handles.
"""

import importlib.metadata
import logging
import os
import platform
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

import yaml

from compression_runner.commands.secret_handover import SECRET_NAMES
from compression_runner.errors import RunnerError
from compression_runner.pipeline.names import CRASH_REPORT
from compression_runner.storage import Store
from compression_runner.telemetry.progress import RunProgress
from compressionjob.report import Violation
from compressionjob.spec import CompressionJob

LOG: Final = logging.getLogger("compression_runner")
UNEXPECTED: Final = "Unexpected"
HIDDEN: Final = "[hidden]"
LEAST_SECRET: Final = 4
"""Least length of a secret; a shorter value would hide letters everywhere."""
SECRETS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<=://)[^/\s@]+(?=@)",
        r"\bhf_[A-Za-z0-9]{8,}",
        r"\b(AKIA|ASIA)[A-Z0-9]{16}\b",
        r"(?<=X-Amz-Signature=)[^&\s'\"]+|(?<=X-Amz-Credential=)[^&\s'\"]+|(?<=X-Amz-Security-Token=)[^&\s'\"]+",
        r"(?i)\bbearer\s+\S+",
    )
)


class CrashReporter:
    """Writes the crash report next to the job's report, if the run has got that far.

    `leave` receives the violation for the operator. With `traces`, the log has the traceback too: a pod's files are
    lost. The report has no values of secrets in `environment`.
    """

    def __init__(
        self,
        progress: RunProgress | None = None,
        leave: Callable[[Violation], None] = lambda _violation: None,
        *,
        traces: bool = False,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._environment = environment
        self._progress = progress
        self._leave = leave
        self._traces = traces
        self.job: CompressionJob | None = None
        self.reports: Store | None = None

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Handle an exception, as `sys.excepthook`."""
        if not issubclass(kind, Exception):  # an interrupt by its user
            sys.__excepthook__(kind, error, trace)
            return
        stage = self._progress.snapshot().stage if self._progress else ""
        place = self._write(crash_report(error, self.job, self._progress, self._environment))
        problem = f"an unexpected error ({kind.__name__})" + (f" ended the run in {stage}" if stage else "")
        remedy = f"attach {place} to a bug report; it has the traceback, versions and the job, and no credentials"
        about = (kind, error, trace) if self._traces else None
        LOG.critical("error: %s\n  to do: %s", problem, remedy, exc_info=about, extra={"reason": UNEXPECTED})
        self._leave(Violation(reason=UNEXPECTED, message=problem, remedy=remedy))

    def _write(self, text: str) -> str:
        """Write the report next to the job's report or, if that fails, to a temporary file; return its location."""
        if self.reports is not None:
            try:
                self.reports.write(CRASH_REPORT, text.encode())
            except (RunnerError, OSError):
                LOG.warning("the crash report cannot be written to %s", self.reports.url)
            else:
                return f"{self.reports.url.rstrip('/')}/{CRASH_REPORT}"
        with tempfile.NamedTemporaryFile("w", prefix="crash-report-", suffix=".txt", delete=False) as file:
            file.write(text)
        return file.name


def crash_report(
    error: BaseException, job: CompressionJob | None, progress: RunProgress | None, environment: Mapping[str, str]
) -> str:
    """Return the report: traceback, plan, job and versions, without the environment and without secrets."""
    packages = sorted({f"{each.name}=={each.version}" for each in importlib.metadata.distributions()}, key=str.lower)
    parts = [
        f"Crash report of compression-runner, {datetime.now(UTC).isoformat(timespec='seconds')}",
        "Attach it to a bug report. Look through it first: it names models, data and places.",
        "Traceback\n---------\n" + "".join(traceback.format_exception(error)).rstrip(),
    ]
    if progress is not None:
        state = progress.snapshot()
        parts.append(f"Plan\n----\nin {state.stage} ({state.index} of {state.total}): {', '.join(progress.titles())}")
    if job is not None:
        spec = {name: value for name, value in job.spec.to_json().items() if name != "notifications"}
        about_job = f"{job.metadata.namespace}/{job.metadata.name}, uid {job.metadata.uid or 'none'}"
        parts.append(f"Job\n---\n{about_job}\n" + yaml.safe_dump(spec, sort_keys=False).rstrip())
    about = f"python {platform.python_version()} on {platform.platform()}"
    parts.append("\n".join(["Versions\n--------", about, *packages]))
    return without_secrets("\n\n".join(parts) + "\n", environment)


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """Return the text without the values of secret variables, credentials in locations, and tokens."""
    values = [value for name, value in environment.items() if SECRET_NAMES.search(name) and len(value) >= LEAST_SECRET]
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    for pattern in SECRETS:
        text = pattern.sub(HIDDEN, text)
    return text
