"""`status`: all jobs in a table, or one in full, once or as they change."""

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
from kubectl_compress.outcome import follow_all, follow_one, gravest, outcome, seconds_of


def status(given: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Show one job or all of them; the exit status is 0 unless they were waited for."""
    _check(given)
    return _one(given, cluster, terminal) if given.name else _all(given, cluster, terminal)


def _check(given: argparse.Namespace) -> None:
    waits = given.watch or given.wait
    if given.name and (given.all_namespaces or given.selector or given.phase):
        raise Invalid("a NAME goes without --all-namespaces, --selector and --phase", "leave out one or the other")
    if waits and given.phase:
        raise Invalid("--phase goes without --watch and --wait: phases change", "use --selector, or leave it out")
    if waits and not given.name and given.output:
        raise Invalid(f"--output={given.output} is for one job when it is followed", "give its NAME")
    _check_phases(given.phase)
    if given.timeout and not waits:
        raise Invalid("--timeout goes with --watch or --wait", "add one of them")


def _one(given: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    if not (given.watch or given.wait):
        _show(cluster.job(given.name), given.output, terminal)
        return ExitCode.DONE
    listener = one(terminal, silent=given.wait or bool(given.output))
    job = follow_one(cluster, given.name, listener, seconds_of(given.timeout))
    _show(job, given.output, terminal)
    return outcome(job) or ExitCode.DONE


def _show(job: Job, output: str, terminal: Terminal) -> None:
    if output == "json":
        terminal.show_json(job.raw)
    elif output == "name":
        terminal.show_line(job.resource)
    else:
        terminal.show(job_detail(job, display.now()))


def _all(given: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    if given.watch or given.wait:
        listener = many(terminal, namespaces=given.all_namespaces, silent=given.wait)
        ended = follow_all(cluster, _selection(given, cluster), listener, seconds_of(given.timeout))
        _table(cluster, given, terminal)
        return gravest(outcome(job) or ExitCode.DONE for job in ended)
    return show_all(given, cluster, terminal)


def show_all(given: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Show the jobs of a selection once."""
    _check_phases(given.phase)
    if given.output == "json":
        items = [job.raw for job in selected(given, cluster)]
        terminal.show_json({"apiVersion": "v1", "kind": "List", "items": items})
    elif given.output == "name":
        for job in selected(given, cluster):
            terminal.show_line(job.resource)
    else:
        _table(cluster, given, terminal)
    return ExitCode.DONE


def selected(given: argparse.Namespace, cluster: Cluster) -> Iterator[Job]:
    """Read the jobs that the flags of a command choose."""
    _check_phases(given.phase)
    for job in cluster.jobs(_selection(given, cluster)):
        if not given.phase or job.phase in given.phase:
            yield job


def _check_phases(phases: Sequence[str]) -> None:
    for phase in phases:
        if phase not in PHASES:
            meant = nearest(phase, PHASES)
            hint = f"; did you mean {meant}?" if meant else ""
            raise Invalid(f"--phase {phase}: there is no such phase", f"use one of {', '.join(PHASES)}{hint}")


def _selection(given: argparse.Namespace, cluster: Cluster) -> Selection:
    return Selection("" if given.all_namespaces else cluster.namespace, labels=given.selector)


def _table(cluster: Cluster, given: argparse.Namespace, terminal: Terminal) -> None:
    jobs = [job.brief() for job in selected(given, cluster)]
    if jobs:
        terminal.show(jobs_table(jobs, display.now(), namespaces=given.all_namespaces))
    else:
        place = "in any namespace" if given.all_namespaces else f"in the namespace {cluster.namespace}"
        terminal.note(
            f"there are no such jobs {place}" if given.phase or given.selector else f"there are no jobs {place}"
        )
