"""`submit`: validate manifests here, then on the server, then create the jobs."""

import argparse
from collections.abc import Mapping
from typing import Any, Final

from compressionjob.mutability import may_change
from compressionjob.objectives import sets_limits
from compressionjob.verdict import NO_LIMITS_WARNING
from kubectl_compress import manifests
from kubectl_compress.author import author_of, create_job
from kubectl_compress.cluster import Cluster
from kubectl_compress.commands.following import end_of
from kubectl_compress.differences import differences
from kubectl_compress.display.terminal import Terminal, resource_name
from kubectl_compress.errors import AlreadyExists, Invalid, InvalidManifest, PluginError
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job
from kubectl_compress.manifests import Manifest
from kubectl_compress.runtimes import require_runtimes, runtimes_of
from kubectl_compress.stores import require_stores, stores_of

MAX_DIFFERENCES: Final = 8
"""Maximum number of differing fields that are listed if a name is taken."""


def submit(args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Create the jobs of all files; report refused ones, and create the others nevertheless."""
    jobs = _jobs(args, terminal)
    if jobs is None or not _fit(jobs, cluster, terminal):
        return ExitCode.INVALID
    created: list[dict[str, Any]] = []
    status = ExitCode.DONE
    placed = [(manifest, _namespace(manifest, cluster)) for manifest in jobs]
    author = author_of(cluster)
    for manifest, namespace in placed:
        try:
            created.append(create(cluster, namespace, manifest.raw, author, dry_run=args.dry_run))
        except PluginError as error:
            taken = isinstance(error, AlreadyExists) and manifest.name
            terminal.explain(_conflict(cluster.job(manifest.name, namespace), manifest) if taken else error)
            status = error.status
            continue
        report_created(terminal, created[-1], args.output, dry_run=args.dry_run)
        if not sets_limits(manifest.raw["spec"]) and not any(
            NO_LIMITS_WARNING in it for it in cluster.kubectl.warnings
        ):
            terminal.note(f"warning: {manifest.name or manifest.origin}: {NO_LIMITS_WARNING}")
    if args.output == "json" and created:
        terminal.show_json(created[0] if len(created) == 1 else _list(created))
    if not args.watch or args.dry_run or status is not ExitCode.DONE:
        return status
    return end_of(cluster, [Job(item) for item in created], args.timeout, terminal)


def create(
    cluster: Cluster, namespace: str, manifest: Mapping[str, Any], author: str, *, dry_run: bool
) -> dict[str, Any]:
    """Create one job in a namespace, in the name of its author."""
    metadata = manifest["metadata"] | {"namespace": namespace}
    return create_job(cluster, namespace, {**manifest, "metadata": metadata}, author, dry_run=dry_run)


def report_created(
    terminal: Terminal, created: Mapping[str, Any], output: str, *, dry_run: bool, more: str = ""
) -> None:
    """Report that a job was created, unless the output is JSON."""
    if output == "json":
        return
    name = resource_name(created)
    terminal.show_line(name if output == "name" else f"{name} created{' (server dry run)' if dry_run else ''}{more}")


def _jobs(args: argparse.Namespace, terminal: Terminal) -> list[Manifest] | None:
    """Return the jobs to create; None if one of them is invalid, which is reported."""
    content = manifests.read(args.file)
    for problem in content.problems:
        terminal.explain(problem)
    if content.problems:
        if content.jobs:
            terminal.note(f"nothing was created, though {len(content.jobs)} of the jobs are valid")
        return None
    if not content.jobs:
        raise Invalid(f"there is no CompressionJob in {', '.join(args.file)}", "name a file with one")
    for other in content.others:
        terminal.note(f"skipped: {other}; submit creates only CompressionJobs, kubectl apply creates the rest")
    if not args.new_name:
        return content.jobs
    if len(content.jobs) > 1:
        raise Invalid(f"--name {args.new_name}: the files hold {len(content.jobs)} jobs", "submit them one at a time")
    return [manifests.check(content.jobs[0].renamed(args.new_name).raw, content.jobs[0].origin)]


def _fit(jobs: list[Manifest], cluster: Cluster, terminal: Terminal) -> bool:
    """Return whether runtimes and stores meet the needs of the jobs and allow them; report problems."""
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
        raise Invalid(problem, "use that namespace, or remove it from the manifest")
    return wanted or cluster.namespace


def _conflict(existing: Job, manifest: Manifest) -> PluginError:
    """Return the error for a taken name, with the differing fields and the remedy."""
    # The author that submit adds is not a difference.
    author = {"author": existing.spec["author"]} if "author" in existing.spec else {}
    changes = differences(existing.spec, {**author, **manifest.raw.get("spec", {})})
    state = f"it is {existing.phase}" if existing.phase else "no operator has seen it yet"
    again = f"to run another, give it another name: --name {next_name(existing.name)}, or metadata.name in the manifest"
    if not changes:
        if existing.phase == "Failed":
            again = f"to retry it: {existing.command('retry')}"
        return AlreadyExists(f"the job {existing.name} exists already with this very spec; {state}", again)
    lines = [f"\n  {item.field}: {item.first or 'unset'} there, {item.second or 'unset'} here" for item in changes]
    more = f"\n  and {len(changes) - MAX_DIFFERENCES} more fields" if len(changes) > MAX_DIFFERENCES else ""
    problem = f"the job {existing.name} exists already with another spec, and a job's spec cannot change; {state}"
    if all(may_change(item.field.split(".")[1], item.first, item.second) for item in changes):
        problem = f"the job {existing.name} exists already; {state}"
        again = "these fields may change: use kubectl apply"
    return AlreadyExists(f"{problem}{''.join(lines[:MAX_DIFFERENCES])}{more}", again)


def next_name(name: str) -> str:
    """Return a name to suggest: the same name with the next number."""
    stem, dash, number = name.rpartition("-")
    return f"{stem}-{int(number) + 1}" if dash and number.isdigit() else f"{name}-2"


def _list(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": items}
