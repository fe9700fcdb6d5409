"""`retry`: run a failed job again, as a new job with the same spec."""

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from compressionjob.group import API_VERSION, JOB_KIND, RETRY_OF_ANNOTATION
from compressionjob.locations import parse_location
from compressionjob.remedies import TIME_LIMIT
from kubectl_compress import overrides
from kubectl_compress.author import author_of
from kubectl_compress.cluster import Cluster
from kubectl_compress.commands.following import end_of
from kubectl_compress.commands.submit import create, report_created
from kubectl_compress.display.terminal import Terminal
from kubectl_compress.errors import AlreadyExists, Invalid
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job
from kubectl_compress.remedies import time_limit, time_limit_that_decides

MAX_NAME: Final = 253
_SUFFIX: Final = re.compile(r"-retry-(\d+)$")


def retry(args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Create a job with the spec of a failed one; after Inconclusive, with the time limit that a decision needs."""
    job = cluster.job(args.name)
    _require_failed(job)
    longer = None if args.set else time_limit_that_decides(job)
    manifest = manifest_of(job, [f"{TIME_LIMIT}={longer}"] if longer else args.set)
    created = _create(args, cluster, job, manifest)
    report_created(
        terminal, created, args.output, dry_run=args.dry_run,
        more=_measuring(job, longer) + f"; finished stages come from {checkpoints_of(manifest['spec'])}",
    )  # fmt: skip
    if args.output == "json":
        terminal.show_json(created)
    if not args.watch or args.dry_run:
        return ExitCode.DONE
    return end_of(cluster, [Job(created)], args.timeout, terminal)


def manifest_of(job: Job, settings: Sequence[str]) -> dict[str, Any]:
    """Return a manifest without a name, with labels and spec of a job, changed by ``FIELD=VALUE``, and not suspended.

    It is not validated here: its spec is from the server, whose fields may be newer than this plugin.
    """
    # The author of the new job is the user who retries it.
    spec = {key: value for key, value in job.spec.items() if key not in ("suspend", "author")}
    return {
        "apiVersion": API_VERSION,
        "kind": JOB_KIND,
        "metadata": {
            "labels": dict(job.raw["metadata"].get("labels") or {}),
            "annotations": {RETRY_OF_ANNOTATION: job.name},
        },
        "spec": overrides.changed(spec, settings),
    }


def checkpoints_of(spec: Mapping[str, Any]) -> str:
    """Return the location of a job's checkpoints."""
    output = spec["output"]
    return str(output.get("checkpoints") or parse_location(output["destination"]).sibling("-checkpoints"))


def _measuring(job: Job, longer: str | None) -> str:
    """Return the text about the new job's time limit, if it differs from the old one's."""
    return f" with {TIME_LIMIT}={longer} (was {time_limit(job)}), to decide the open limits" if longer else ""


def retry_names(name: str) -> list[str]:
    """Return names for a retry in the order of preference: NAME-retry-1, NAME-retry-2, ..."""
    match = _SUFFIX.search(name)
    stem, number = (name[: match.start()], int(match[1])) if match else (name, 0)
    suffixes = [f"-retry-{number + more}" for more in range(1, 101)]
    return [f"{stem[: MAX_NAME - len(suffix)].rstrip('-.')}{suffix}" for suffix in suffixes]


def _require_failed(job: Job) -> None:
    if job.phase == "Failed":
        return
    if job.ended:
        remedy = "submit it under another name to run it again"
        raise Invalid(f"the job {job.name} succeeded; there is nothing to retry", remedy)
    state = f"it is {job.phase}" if job.phase else "no operator has seen it yet"
    raise Invalid(f"the job {job.name} has not ended; {state}", f"follow it: {job.command('status')} --watch")


def _create(args: argparse.Namespace, cluster: Cluster, job: Job, manifest: dict[str, Any]) -> dict[str, Any]:
    author = author_of(cluster)
    for name in [args.new_name] if args.new_name else retry_names(job.name):
        named = manifest | {"metadata": manifest["metadata"] | {"name": name}}
        try:
            return create(cluster, job.namespace, named, author, dry_run=args.dry_run)
        except AlreadyExists:
            if args.new_name:
                raise
    raise Invalid(f"100 retries of {job.name} exist already", "delete some, or give --name")
