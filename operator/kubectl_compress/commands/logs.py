"""`logs`: print the log of a job's pod as readable lines."""

import argparse
import json
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlencode

from compressionjob.group import JOB_UID_LABEL
from compressionjob.logs import FIELDS
from compressionjob.pod_interface import CONTAINER
from kubectl_compress.cluster import Cluster
from kubectl_compress.display.terminal import Terminal
from kubectl_compress.errors import Invalid
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job

_OMITTED = frozenset({"namespace", "job"})


def logs(args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Print the log of a job's newest pod, or of the one that --pod names."""
    job = cluster.job(args.name)
    names = pods_of(cluster, job)
    name = _chosen(job, names, args.pod)
    others = [item for item in names if item != name]
    if others:
        terminal.note(f"pod {name}; earlier: {', '.join(others)} (--pod NAME)")
    flags = ["--follow"] if args.follow else []
    flags += [f"--tail={args.tail}"] if args.tail else []
    command = ("logs", name, f"--container={CONTAINER}", f"--namespace={job.namespace}", *flags)
    with closing(cluster.kubectl.lines(*command)) as lines:
        for line in lines:
            terminal.show_line(line.rstrip("\n") if args.raw else readable(line))
    return ExitCode.DONE


def pods_of(cluster: Cluster, job: Job) -> list[str]:
    """Return the names of the pods of a job, the newest first."""
    query = urlencode({"labelSelector": f"{JOB_UID_LABEL}={job.uid}"})
    pods = cluster.read(f"/api/v1/namespaces/{quote(job.namespace, safe='')}/pods?{query}").get("items") or []
    pods.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)
    return [str(pod["metadata"]["name"]) for pod in pods]


def readable(line: str) -> str:
    """Return a line of the runner's JSON log as readable text; any other line unchanged."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line.rstrip("\n")
    if not isinstance(entry, dict) or "message" not in entry:
        return line.rstrip("\n")
    more = [f"{name}={entry[name]}" for name in FIELDS if name in entry and name not in _OMITTED]
    parts = [_time(entry), str(entry.get("level", "")), str(entry["message"]), *more]
    exception = f"\n{entry['exception']}" if entry.get("exception") else ""
    return "  ".join(part for part in parts if part) + exception


def _time(entry: dict[str, Any]) -> str:
    """Return the time of day of an entry, to the second."""
    return str(entry.get("time", ""))[11:19]


def _chosen(job: Job, names: list[str], wanted: str) -> str:
    if not names:
        state = f"it is {job.phase}: {job.message}" if job.phase else "no operator has seen it yet"
        raise Invalid(
            f"the job {job.name} has no pod whose log could be read; {state}", f"see: {job.command('status')}"
        )
    if wanted and wanted not in names:
        raise Invalid(f"--pod {wanted}: the job {job.name} has no such pod", f"name one of {', '.join(names)}")
    return wanted or names[0]
