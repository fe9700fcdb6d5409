"""`status`: all jobs in a table, or one in full, once or as they change."""

import argparse

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
    selection = Selection("" if given.all_namespaces else cluster.namespace, labels=given.selector)
    if given.watch or given.wait:
        listener = many(terminal, namespaces=given.all_namespaces, silent=given.wait)
        ended = follow_all(cluster, selection, listener, seconds_of(given.timeout))
        _table(cluster, selection, given, terminal)
        return gravest(outcome(job) or ExitCode.DONE for job in ended)
    if given.output == "json":
        items = [job.raw for job in cluster.jobs(selection) if _wanted(job, given)]
        terminal.show_json({"apiVersion": "v1", "kind": "List", "items": items})
    elif given.output == "name":
        for job in cluster.jobs(selection):
            if _wanted(job, given):
                terminal.show_line(job.resource)
    else:
        _table(cluster, selection, given, terminal)
    return ExitCode.DONE


def _table(cluster: Cluster, selection: Selection, given: argparse.Namespace, terminal: Terminal) -> None:
    jobs = [job.brief() for job in cluster.jobs(selection) if _wanted(job, given)]
    if jobs:
        terminal.show(jobs_table(jobs, display.now(), namespaces=given.all_namespaces))
    else:
        place = "in any namespace" if given.all_namespaces else f"in the namespace {cluster.namespace}"
        terminal.note(
            f"there are no such jobs {place}" if given.phase or given.selector else f"there are no jobs {place}"
        )


def _wanted(job: Job, given: argparse.Namespace) -> bool:
    return not given.phase or job.phase in given.phase
