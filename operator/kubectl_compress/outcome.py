"""The outcome of a job as an exit status, and following jobs until their end."""

from collections.abc import Iterable

from compressionjob.field_types import parse_duration
from kubectl_compress.cluster import Cluster, Selection
from kubectl_compress.display.live import Listener
from kubectl_compress.errors import Invalid, PluginError
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.following import Follower
from kubectl_compress.job import Job

_SEVERITY = (ExitCode.NO_VERDICT, ExitCode.NOT_MET, ExitCode.AWAITING_REVIEW, ExitCode.DONE)


def outcome(job: Job) -> ExitCode | None:
    """Return the exit status for a job; None while it has not ended and waits for no review."""
    if job.awaits_review:
        return ExitCode.AWAITING_REVIEW
    if job.phase == "Succeeded":
        approved = job.review.get("decision") == "Approve"
        return ExitCode.DONE if approved or job.verdict in ("Pass", "NoLimits", "") else ExitCode.NOT_MET
    if job.phase == "Failed":
        return ExitCode.NOT_MET if job.verdict else ExitCode.NO_VERDICT
    return None


def most_severe(outcomes: Iterable[ExitCode]) -> ExitCode:
    """Return the exit status of several jobs: the most severe one."""
    return min(outcomes, key=_SEVERITY.index, default=ExitCode.DONE)


def follow_one(cluster: Cluster, name: str, listener: Listener, timeout: float | None, namespace: str = "") -> Job:
    """Follow one job until it has ended or waits for a review, and return its last state.

    Raises NotFound, TimedOut, and PluginError if it is deleted meanwhile.
    """
    with listener:
        follower = Follower(
            cluster,
            Selection(namespace or cluster.namespace, name),
            timeout=timeout,
            connection_error=listener.connection_error,
        )
        for changes in follower.changes():
            for change in changes:
                if change.gone:
                    raise PluginError(f"the job {name} was deleted while it was followed")
                listener.show(change.job)
                if outcome(change.job) is not None:
                    return change.job
    raise AssertionError("unreachable: a follower runs until it raises")


def follow_all(cluster: Cluster, selection: Selection, listener: Listener, timeout: float | None) -> list[Job]:
    """Follow jobs until all of them have ended or wait for a review; return those that did so meanwhile.

    Raises TimedOut.
    """
    under_way: set[str] = set()
    ended: dict[str, Job] = {}
    with listener:
        follower = Follower(cluster, selection, timeout=timeout, connection_error=listener.connection_error)
        for changes in follower.changes():
            for change in changes:
                if change.gone:
                    listener.remove(change.job)
                else:
                    listener.show(change.job)
                if not change.gone and outcome(change.job) is None:
                    under_way.add(change.job.uid)
                elif change.job.uid in under_way:
                    under_way.remove(change.job.uid)
                    if not change.gone:
                        ended[change.job.uid] = change.job
            if not under_way:
                break
    return list(ended.values())


def seconds_of(flag: str) -> float | None:
    """Return the seconds of --timeout; None without it.

    Raises Invalid if it is not a duration.
    """
    if not flag:
        return None
    try:
        return parse_duration(flag)
    except ValueError as error:
        raise Invalid(f"--timeout {flag}: {error}") from error
