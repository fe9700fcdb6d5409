"""`report`: show the verdict and its figures from the status, or download the report."""

import argparse
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from kubectl_compress.cluster import Cluster
from kubectl_compress.display.detail import headline, objectives_table
from kubectl_compress.display.model_comparison import figures_table, rows_of
from kubectl_compress.display.terminal import Terminal
from kubectl_compress.downloads import FORMATS, ReportLocation, fetch, report_location
from kubectl_compress.errors import Invalid
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job


def report(args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Show the verdict in the status; with --save or --open, download the report."""
    if args.save and Path(args.save).suffix not in FORMATS:
        raise Invalid(f"--save {args.save}: there is no such format", f"name a file that ends in {', '.join(FORMATS)}")
    job = cluster.job(args.name)
    if not job.verdict:
        state = f"it failed: {job.message}" if job.phase == "Failed" else f"it is {job.phase or 'not seen yet'}"
        raise Invalid(f"the job {job.name} has no verdict and so no report; {state}", f"see: {_status(job)}")
    if args.save or args.open:
        _deliver(args, report_location(job, args.endpoint), terminal)
        return ExitCode.DONE
    if args.output == "json":
        terminal.show_json({"job": job.name, "namespace": job.namespace, "status": job.status})
    else:
        terminal.show(Group(*_page(job)))
    return ExitCode.DONE


def _status(job: Job) -> str:
    return job.command("status")


def _deliver(args: argparse.Namespace, place: ReportLocation, terminal: Terminal) -> None:
    if args.save:
        target = Path(args.save)
        target.write_bytes(fetch(place, target.suffix))
        terminal.note(f"{place.url(target.suffix)} is in {target}")
    if args.open:
        # The browser may read the file after this process has ended.
        target = Path(tempfile.mkdtemp(prefix="compression-report-"), "report.html")
        target.write_bytes(fetch(place, ".html"))
        opened = webbrowser.open(target.as_uri())
        terminal.note(f"opened {target}" if opened else f"there is no browser here; the report is in {target}")


def _page(job: Job) -> Iterator[RenderableType]:
    yield headline(job)
    yield Text()
    for anomaly in job.anomalies:
        yield Text(f"not as promised: {anomaly}", style="yellow")
    yield _sentence(job)
    if job.objectives:
        yield Text()
        yield objectives_table(job.objectives)
    yield Text()
    yield figures_table(("", "BASELINE", "COMPRESSED"), rows_of(job.baseline, job.compressed))
    yield Text()
    yield from _whereabouts(job)


def _sentence(job: Job) -> Text:
    sentence = str(job.condition("SLASatisfied").get("message", "")) or job.message
    confidence = job.status.get("confidence")
    return Text(sentence if not confidence or "confidence" in sentence else f"{sentence} (confidence {confidence})")


def _whereabouts(job: Job) -> Iterator[Text]:
    artifact, digest = job.status.get("artifact"), job.status.get("digest")
    if artifact:
        yield Text(f"published   {artifact}")
    elif job.awaits_review:
        yield Text(f"published   not yet: it waits for review, then goes to {job.spec['output']['destination']}")
    else:
        yield Text("published   no")
    if digest:
        yield Text(f"digest      {digest}")
    if job.review:
        decision = "approved" if job.review.get("decision") == "Approve" else "rejected"
        yield Text(
            f"review      {decision} by {job.review.get('reviewer', '')} at {job.review.get('time', '')}: "
            f"{job.review.get('reason', '')}"
        )
    yield Text(f"report      {job.status.get('report', '')}")
    yield Text(f"to read it  {job.command('report')} --open, or --save report.html")
