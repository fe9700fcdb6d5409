"""`approve` and `reject`: create a CompressionReview in the caller's name."""

import argparse
import time
from typing import Any, Final

from rich.text import Text

from compressionjob.group import API_VERSION, JOB_KIND, REVIEW_KIND, REVIEW_PLURAL
from compressionjob.review import CompressionReviewSpec, Decision
from kubectl_compress.cluster import Cluster
from kubectl_compress.display.detail import headline, objectives_table
from kubectl_compress.display.terminal import Terminal, resource_name
from kubectl_compress.errors import Invalid
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job

MAX_REASON: Final = 1024
CONFIRMATION_TIMEOUT: Final = 15.0
"""Seconds to wait until the operator has applied a decision."""

_PAST: Final = {"Approve": "approved", "Reject": "rejected"}


def approve(args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Approve a job that waits for review."""
    return _decide("Approve", args, cluster, terminal)


def reject(args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Reject a job that waits for review."""
    return _decide("Reject", args, cluster, terminal)


def review_of(job: Job, decision: Decision, reason: str, reviewer: str) -> dict[str, Any]:
    """Return the review of a job: it is owned by the job, and valid only for the result that the reviewer saw."""
    spec = CompressionReviewSpec(
        job=job.name, decision=decision, reason=reason, reviewer=reviewer, jobUID=job.uid, digest=job.digest
    )
    owner = {"apiVersion": API_VERSION, "kind": JOB_KIND, "name": job.name, "uid": job.uid}
    return {
        "apiVersion": API_VERSION,
        "kind": REVIEW_KIND,
        "metadata": {
            "generateName": f"{job.name}-",
            "namespace": job.namespace,
            # Not blocking: that would need the permission to update the job's finalizers.
            "ownerReferences": [owner],
        },
        "spec": spec.to_json(),
    }


def _decide(decision: Decision, args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    reason = _reason(args.reason)
    job = cluster.job(args.name)
    _require_waiting(job)
    reviewer = cluster.user()
    _require_another(job, reviewer)
    _show(job, decision, reviewer, terminal)
    if not args.yes and not args.dry_run:
        if not terminal.interactive:
            raise Invalid("the command cannot ask for confirmation without a terminal", "add --yes")
        if not terminal.confirmed(f"{decision} it?"):
            terminal.note("nothing was done")
            return ExitCode.REFUSED
    _require_unchanged(job, cluster.job(job.name, job.namespace))
    manifest = review_of(job, decision, reason, reviewer)
    created = cluster.create(REVIEW_PLURAL, job.namespace, manifest, dry_run=args.dry_run)
    terminal.show_line(f"{resource_name(created)} created{' (server dry run)' if args.dry_run else ''}")
    return ExitCode.DONE if args.dry_run else _confirm(cluster, job, str(created["metadata"]["name"]), terminal)


def _reason(text: str) -> str:
    reason = text.strip()
    if not reason:
        raise Invalid("--reason is empty", "say why in a sentence; it becomes part of the provenance")
    if len(reason) > MAX_REASON:
        raise Invalid(f"--reason has {len(reason)} characters", f"use at most {MAX_REASON}")
    return reason


def _require_waiting(job: Job) -> None:
    if job.awaits_review:
        if not job.digest:
            raise Invalid(f"the job {job.name} has no digest of the result that waits", "upgrade the operator")
        return
    if job.review:
        decision = _PAST.get(str(job.review.get("decision")), "decided")
        reviewer, why = job.review.get("reviewer", "another user"), job.review.get("reason", "")
        raise Invalid(f"the job {job.name} was {decision} by {reviewer}: {why}", "a decision is final")
    state = f"it is {job.phase}" if job.phase else "no operator has seen it yet"
    rule = job.spec.get("review", "Never")
    remedy = f"its spec.review is {rule}: " + (
        "it never waits" if rule == "Never" else "it waits once it has a verdict that needs a reviewer"
    )
    raise Invalid(f"the job {job.name} does not wait for review; {state}", remedy)


def _require_another(job: Job, reviewer: str) -> None:
    """Raise Invalid if the reviewer is the author and must not review the job."""
    if job.status.get("terms", {}).get("separation") and job.spec.get("author") == reviewer:
        problem = f"you ({reviewer}) are the author of the job {job.name}, and your own review would not count"
        raise Invalid(problem, f"ask a colleague who may review: {job.command('approve')} --reason TEXT")


def _require_unchanged(shown: Job, now: Job) -> None:
    """Raise Invalid if the job was replaced, or no longer waits with the result that was shown."""
    if now.uid != shown.uid:
        remedy = "run the command again to see the new one; nothing was done"
        raise Invalid(f"the job {shown.name} was deleted meanwhile, and another has its name", remedy)
    _require_waiting(now)
    if now.digest != shown.digest:
        result = f"the result of the job {shown.name} has changed: it was {shown.digest} and is {now.digest}"
        raise Invalid(result, "run the command again to see the new one; nothing was done")


def _show(job: Job, decision: Decision, reviewer: str, terminal: Terminal) -> None:
    """Show the result that is about to be decided, as a note: the output of the command is the review."""
    destination = job.spec.get("output", {}).get("destination", "")
    facts = {
        "you are": reviewer,
        "result": job.digest,
        "report": job.status.get("report", ""),
        "then": f"publish to {destination}" if decision == "Approve" else "publish nothing, and fail the job",
    }
    terminal.note(
        headline(job),
        *(Text(f"not as promised: {anomaly}", style="yellow") for anomaly in job.anomalies),
        Text(),
        *((objectives_table(job.objectives), Text()) if job.objectives else ()),
        *(Text(f"{name:<9}", style="dim").append(str(text), style="not dim") for name, text in facts.items() if text),
        Text(),
    )


def _confirm(cluster: Cluster, job: Job, review: str, terminal: Terminal) -> ExitCode:
    """Wait until the operator has applied a decision, and report whether it was this one."""
    end = time.monotonic() + CONFIRMATION_TIMEOUT
    while time.monotonic() < end:
        now = cluster.job(job.name, job.namespace)
        if now.review:
            return _report_outcome(now, review, terminal)
        time.sleep(0.5)
    terminal.note(f"the operator has not applied it yet: {job.command('status')}")
    return ExitCode.DONE


def _report_outcome(job: Job, review: str, terminal: Terminal) -> ExitCode:
    decision = _PAST.get(str(job.review.get("decision")), "decided")
    if job.review.get("name") != review:
        terminal.note(f"too late: {job.name} was {decision} by {job.review.get('reviewer', 'another user')} before")
        return ExitCode.REFUSED
    following = "it is being published" if decision == "approved" else "nothing is published"
    terminal.note(f"{job.name} is {decision}; {following}")
    return ExitCode.DONE
