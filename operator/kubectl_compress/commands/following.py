"""Follow jobs until they end: the display for the terminal, and the exit status of the outcome."""

from collections.abc import Sequence

from kubectl_compress.cluster import Cluster
from kubectl_compress.display import terminal as display
from kubectl_compress.display.detail import job_detail
from kubectl_compress.display.live import Lines, Listener, ManyJobs, OneJob, Silent
from kubectl_compress.display.terminal import Terminal
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job
from kubectl_compress.outcome import follow_one, most_severe, outcome, seconds_of


def end_of(cluster: Cluster, jobs: Sequence[Job], timeout: str, terminal: Terminal) -> ExitCode:
    """Follow jobs that were just created, one after the other, and show each in full at its end."""
    outcomes = []
    for job in jobs:
        ended = follow_one(cluster, job.name, one(terminal), seconds_of(timeout), job.namespace)
        terminal.show(job_detail(ended, display.now()))
        outcomes.append(outcome(ended) or ExitCode.DONE)
    return most_severe(outcomes)


def one(terminal: Terminal, *, silent: bool = False) -> Listener:
    """Return the listener for one job."""
    if silent:
        return Silent()
    return OneJob(terminal, display.now) if terminal.out.is_terminal else Lines(terminal)


def many(terminal: Terminal, *, namespaces: bool, silent: bool = False) -> Listener:
    """Return the listener for many jobs."""
    if silent:
        return Silent()
    if terminal.out.is_terminal:
        return ManyJobs(terminal, display.now, namespaces=namespaces)
    return Lines(terminal)
