"""`list`: show the jobs of a namespace in a table, or the locations of their reports."""

import argparse
from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from kubectl_compress.cluster import Cluster
from kubectl_compress.commands.status import selected, show_all
from kubectl_compress.display.table import columns
from kubectl_compress.display.terminal import Terminal, coloured
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job


def list_jobs(args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Show the jobs of a selection; with --reports, the locations of their reports."""
    if not args.reports:
        return show_all(args, cluster, terminal)
    jobs = [job for job in selected(args, cluster) if job.report]
    if jobs:
        terminal.show(reports_table(jobs, namespaces=args.all_namespaces))
    else:
        place = "in any namespace" if args.all_namespaces else f"in the namespace {cluster.namespace}"
        terminal.note(f"no such job {place} has a report yet; a job has one once it has a verdict")
    return ExitCode.DONE


def reports_table(jobs: Iterable[Job], *, namespaces: bool) -> Table:
    """Return a table with name, verdict and location of the report of each job."""
    titles = ["NAME", "VERDICT", "REPORT"]
    table = columns(*(["NAMESPACE", *titles] if namespaces else titles))
    for job in jobs:
        cells = [Text(job.name), coloured(job.verdict), Text(job.report)]
        table.add_row(*([Text(job.namespace), *cells] if namespaces else cells))
    return table
