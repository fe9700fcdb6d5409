"""`status`: show all jobs in a table, or one in full, once or while they change."""

import argparse
from collections.abc import Iterator, Sequence

from compressionjob.hints import nearest
from compressionjob.status import PHASES
from kubectl_compress.cluster import Cluster, Selection
from kubectl_compress.commands.following import many, one
from kubectl_compress.display import terminal as display
from kubectl_compress.display.detail import job_detail
from kubectl_compress.display.table import jobs_table
from kubectl_compress.display.terminal import Terminal
from kubectl_compress.errors import Invalid
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job
from kubectl_compress.outcome import follow_all, follow_one, most_severe, outcome, seconds_of


def status(args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Show one job or all of them; the exit status is 0, or the outcome with --watch or --wait."""
    _check(args)
    return _one(args, cluster, terminal) if args.name else _all(args, cluster, terminal)


def _check(args: argparse.Namespace) -> None:
    waits = args.watch or args.wait
    if args.name and (args.all_namespaces or args.selector or args.phase):
        raise Invalid("a NAME cannot be combined with --all-namespaces, --selector or --phase", "leave out one of them")
    if waits and args.phase:
        problem = "--phase cannot be combined with --watch or --wait: phases change"
        raise Invalid(problem, "use --selector, or leave it out")
    if waits and not args.name and args.output:
        raise Invalid(f"--output={args.output} needs the NAME of a job with --watch or --wait", "add the NAME")
    _check_phases(args.phase)
    if args.timeout and not waits:
        raise Invalid("--timeout needs --watch or --wait", "add one of them")


def _one(args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    if not (args.watch or args.wait):
        _show(cluster.job(args.name), args.output, terminal)
        return ExitCode.DONE
    listener = one(terminal, silent=args.wait or bool(args.output))
    job = follow_one(cluster, args.name, listener, seconds_of(args.timeout))
    _show(job, args.output, terminal)
    return outcome(job) or ExitCode.DONE


def _show(job: Job, output: str, terminal: Terminal) -> None:
    if output == "json":
        terminal.show_json(job.raw)
    elif output == "name":
        terminal.show_line(job.resource)
    else:
        terminal.show(job_detail(job, display.now()))


def _all(args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    if args.watch or args.wait:
        listener = many(terminal, namespaces=args.all_namespaces, silent=args.wait)
        ended = follow_all(cluster, _selection(args, cluster), listener, seconds_of(args.timeout))
        _table(cluster, args, terminal)
        return most_severe(outcome(job) or ExitCode.DONE for job in ended)
    return show_all(args, cluster, terminal)


def show_all(args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Show the jobs of a selection once."""
    _check_phases(args.phase)
    if args.output == "json":
        items = [job.raw for job in selected(args, cluster)]
        terminal.show_json({"apiVersion": "v1", "kind": "List", "items": items})
    elif args.output == "name":
        for job in selected(args, cluster):
            terminal.show_line(job.resource)
    else:
        _table(cluster, args, terminal)
    return ExitCode.DONE


def selected(args: argparse.Namespace, cluster: Cluster) -> Iterator[Job]:
    """Yield the jobs that match the flags of a command."""
    _check_phases(args.phase)
    for job in cluster.jobs(_selection(args, cluster)):
        if not args.phase or job.phase in args.phase:
            yield job


def _check_phases(phases: Sequence[str]) -> None:
    for phase in phases:
        if phase not in PHASES:
            meant = nearest(phase, PHASES)
            hint = f"; did you mean {meant}?" if meant else ""
            raise Invalid(f"--phase {phase}: there is no such phase", f"use one of {', '.join(PHASES)}{hint}")


def _selection(args: argparse.Namespace, cluster: Cluster) -> Selection:
    return Selection("" if args.all_namespaces else cluster.namespace, labels=args.selector)


def _table(cluster: Cluster, args: argparse.Namespace, terminal: Terminal) -> None:
    jobs = [job.brief() for job in selected(args, cluster)]
    if jobs:
        terminal.show(jobs_table(jobs, display.now(), namespaces=args.all_namespaces))
    else:
        place = "in any namespace" if args.all_namespaces else f"in the namespace {cluster.namespace}"
        terminal.note(
            f"there are no such jobs {place}" if args.phase or args.selector else f"there are no jobs {place}"
        )
