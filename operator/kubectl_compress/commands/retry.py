"""`retry`: a failed job again, as a new job with the same spec."""

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from compressionjob.deciding import TIME_LIMIT
from compressionjob.group import API_VERSION, JOB_KIND, RETRY_OF_ANNOTATION
from compressionjob.locations import parse_location
from kubectl_compress import overrides
from kubectl_compress.author import author_of
from kubectl_compress.cluster import Cluster
from kubectl_compress.commands.following import end_of
from kubectl_compress.commands.submit import create, told
from kubectl_compress.deciding import time_limit, time_limit_that_decides
from kubectl_compress.display.terminal import Terminal
from kubectl_compress.errors import AlreadyExists, Invalid
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job

MAX_NAME: Final = 253
_SUFFIX: Final = re.compile(r"-retry-(\d+)$")


def retry(given: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Create a job with the spec of one that failed; one that was Inconclusive measures as long as a decision needs."""
    job = cluster.job(given.name)
    _require_failed(job)
    longer = None if given.set else time_limit_that_decides(job)
    manifest = manifest_of(job, [f"{TIME_LIMIT}={longer}"] if longer else given.set)
    created = _create(given, cluster, job, manifest)
    told(
        terminal, created, given.output, dry_run=given.dry_run,
        more=_measuring(job, longer) + f"; finished stages come from {checkpoints_of(manifest['spec'])}",
    )  # fmt: skip
    if given.output == "json":
        terminal.show_json(created)
    if not given.watch or given.dry_run:
        return ExitCode.DONE
    return end_of(cluster, [Job(created)], given.timeout, terminal)


def manifest_of(job: Job, settings: Sequence[str]) -> dict[str, Any]:
    """A job without a name, with the labels and the spec of another, changed by ``FIELD=VALUE``; it is not held.

    It is not checked here: its spec came from the server, whose fields may be newer than this plugin.
    """
    # Its author is the one who tries it again.
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
    """Where a job's checkpoints lie."""
    output = spec["output"]
    return str(output.get("checkpoints") or parse_location(output["destination"]).sibling("-checkpoints"))


def _measuring(job: Job, longer: str | None) -> str:
    """Return how long the new job measures, where that is not as long as the old one."""
    return f" with {TIME_LIMIT}={longer} (was {time_limit(job)}), to decide what stayed open" if longer else ""


def names_after(name: str) -> list[str]:
    """Names for a retry, to be tried in this order: NAME-retry-1, NAME-retry-2, ..."""
    found = _SUFFIX.search(name)
    stem, number = (name[: found.start()], int(found[1])) if found else (name, 0)
    suffixes = [f"-retry-{number + more}" for more in range(1, 101)]
    return [f"{stem[: MAX_NAME - len(suffix)].rstrip('-.')}{suffix}" for suffix in suffixes]


def _require_failed(job: Job) -> None:
    if job.phase == "Failed":
        return
    if job.ended:
        remedy = "submit it under another name to run it again"
        raise Invalid(f"the job {job.name} succeeded; there is nothing to try again", remedy)
    state = f"it is {job.phase}" if job.phase else "no operator has seen it yet"
    raise Invalid(f"the job {job.name} has not ended; {state}", f"follow it: {job.command('status')} --watch")


def _create(given: argparse.Namespace, cluster: Cluster, job: Job, manifest: dict[str, Any]) -> dict[str, Any]:
    author = author_of(cluster)
    for name in [given.new_name] if given.new_name else names_after(job.name):
        named = manifest | {"metadata": manifest["metadata"] | {"name": name}}
        try:
            return create(cluster, job.namespace, named, author, dry_run=given.dry_run)
        except AlreadyExists:
            if given.new_name:
                raise
    raise Invalid(f"a hundred retries of {job.name} are there", "delete some, or give --name")
