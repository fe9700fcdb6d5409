"""`submit`: manifests checked here, then on the server, then created."""

import argparse
from collections.abc import Mapping
from typing import Any, Final

from compressionjob.mutability import may_change
from compressionjob.objectives import sets_limits
from compressionjob.sla import NO_LIMITS_WARNING
from kubectl_compress import manifests
from kubectl_compress.author import author_of, create_job
from kubectl_compress.cluster import Cluster
from kubectl_compress.commands.following import end_of
from kubectl_compress.differences import differences
from kubectl_compress.display.terminal import Terminal, answer_of
from kubectl_compress.errors import AlreadyExists, Invalid, InvalidManifest, PluginError
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job
from kubectl_compress.manifests import Manifest
from kubectl_compress.runtimes import require_runtimes, runtimes_of
from kubectl_compress.stores import require_stores, stores_of

MOST_DIFFERENCES: Final = 8
"""Differing fields that are listed when a name is taken."""


def submit(given: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Create the jobs of all files; what the cluster refuses is said, and the others are created all the same."""
    jobs = _jobs(given, terminal)
    if jobs is None or not _fit(jobs, cluster, terminal):
        return ExitCode.INVALID
    created: list[dict[str, Any]] = []
    status = ExitCode.DONE
    placed = [(manifest, _namespace(manifest, cluster)) for manifest in jobs]
    author = author_of(cluster)
    for manifest, namespace in placed:
        try:
            created.append(create(cluster, namespace, manifest.raw, author, dry_run=given.dry_run))
        except PluginError as error:
            taken = isinstance(error, AlreadyExists) and manifest.name
            terminal.explain(_conflict(cluster.job(manifest.name, namespace), manifest) if taken else error)
            status = error.status
            continue
        told(terminal, created[-1], given.output, dry_run=given.dry_run)
        if not sets_limits(manifest.raw["spec"]) and not any(
            NO_LIMITS_WARNING in it for it in cluster.kubectl.warnings
        ):
            terminal.note(f"warning: {manifest.name or manifest.origin}: {NO_LIMITS_WARNING}")
    if given.output == "json" and created:
        terminal.show_json(created[0] if len(created) == 1 else _list(created))
    if not given.watch or given.dry_run or status is not ExitCode.DONE:
        return status
    return end_of(cluster, [Job(item) for item in created], given.timeout, terminal)


def create(
    cluster: Cluster, namespace: str, manifest: Mapping[str, Any], author: str, *, dry_run: bool
) -> dict[str, Any]:
    """Create one job in a namespace, in the name of its author."""
    metadata = manifest["metadata"] | {"namespace": namespace}
    return create_job(cluster, namespace, {**manifest, "metadata": metadata}, author, dry_run=dry_run)


def told(terminal: Terminal, created: Mapping[str, Any], output: str, *, dry_run: bool, more: str = "") -> None:
    """Say that a job was created, unless JSON is wanted."""
    if output == "json":
        return
    name = answer_of(created)
    terminal.show_line(name if output == "name" else f"{name} created{' (server dry run)' if dry_run else ''}{more}")


def _jobs(given: argparse.Namespace, terminal: Terminal) -> list[Manifest] | None:
    """The jobs to create, or None where one of them is not valid, which is said."""
    found = manifests.read(given.file)
    for problem in found.problems:
        terminal.explain(problem)
    if found.problems:
        if found.jobs:
            terminal.note(f"nothing was created, though {len(found.jobs)} of the jobs are valid")
        return None
    if not found.jobs:
        raise Invalid(f"there is no CompressionJob in {', '.join(given.file)}", "name a file with one")
    for other in found.others:
        terminal.note(f"left alone: {other}; submit creates CompressionJobs only, kubectl apply creates the rest")
    if not given.new_name:
        return found.jobs
    if len(found.jobs) > 1:
        raise Invalid(f"--name {given.new_name}: the files hold {len(found.jobs)} jobs", "submit them one at a time")
    return [manifests.check(found.jobs[0].renamed(given.new_name).raw, found.jobs[0].origin)]


def _fit(jobs: list[Manifest], cluster: Cluster, terminal: Terminal) -> bool:
    """Whether runtimes and stores have what the jobs need, and allow what they do; what they lack is said."""
    runtimes = runtimes_of(cluster)
    stores = {name: stores_of(cluster, name) for name in {_namespace(manifest, cluster) for manifest in jobs}}
    fits = True
    for manifest in jobs:
        try:
            if runtimes is not None:
                require_runtimes(manifest, runtimes, _namespace(manifest, cluster), cluster.labels_of)
            allowed = stores[_namespace(manifest, cluster)]
            if allowed is not None:
                require_stores(manifest, allowed)
        except InvalidManifest as error:
            terminal.explain(error)
            fits = False
    if not fits and len(jobs) > 1:
        terminal.note("nothing was created")
    return fits


def _namespace(manifest: Manifest, cluster: Cluster) -> str:
    wanted, flag = manifest.namespace, cluster.kubectl.namespace_flag
    if wanted and flag and wanted != flag:
        problem = f"{manifest.origin}: its namespace is {wanted}, and --namespace says {flag}"
        raise Invalid(problem, "give that namespace, or take it out of the manifest")
    return wanted or cluster.namespace


def _conflict(there: Job, manifest: Manifest) -> PluginError:
    """Why there cannot be two of a name, in what they differ, and what to do."""
    # The author that submit adds is no difference of the manifest.
    author = {"author": there.spec["author"]} if "author" in there.spec else {}
    found = differences(there.spec, {**author, **manifest.raw.get("spec", {})})
    state = f"it is {there.phase}" if there.phase else "no operator has seen it yet"
    again = f"to run another, give it another name: --name {next_name(there.name)}, or metadata.name in the manifest"
    if not found:
        if there.phase == "Failed":
            again = f"to try it again: {there.command('retry')}"
        return AlreadyExists(f"the job {there.name} is there already with this very spec; {state}", again)
    lines = [f"\n  {item.field}: {item.first or 'unset'} there, {item.second or 'unset'} here" for item in found]
    more = f"\n  and {len(found) - MOST_DIFFERENCES} more fields" if len(found) > MOST_DIFFERENCES else ""
    problem = f"the job {there.name} is there already with another spec, and a job's spec cannot change; {state}"
    if all(may_change(item.field.split(".")[1], item.first, item.second) for item in found):
        problem = f"the job {there.name} is there already; {state}"
        again = "these fields may change while it exists: kubectl apply does that"
    return AlreadyExists(f"{problem}{''.join(lines[:MOST_DIFFERENCES])}{more}", again)


def next_name(name: str) -> str:
    """A name to suggest: the same with a number, or with the next number."""
    stem, dash, number = name.rpartition("-")
    return f"{stem}-{int(number) + 1}" if dash and number.isdigit() else f"{name}-2"


def _list(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": items}
