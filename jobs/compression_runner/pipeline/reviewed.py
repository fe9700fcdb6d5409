"""The part Publish: a result that waited for its review is brought from its checkpoint to the destination."""

from typing import Final

from compression_runner.artifact import Artifact
from compression_runner.errors import InvalidInput
from compression_runner.pipeline import publishing
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.names import REPORT_JSON
from compression_runner.pipeline.preflight import look_at_destination
from compression_runner.pipeline.report_files import read_report, write_report
from compression_runner.pipeline.run import Run, use_room
from compression_runner.telemetry.phase import Phase
from compression_runner.telemetry.progress import counting
from compressionjob.conditions import INVALID_INPUT
from compressionjob.report import Report
from compressionjob.review import ReviewOutcome

FETCH: Final = "fetch"
AGAIN: Final = "apply the job again; it is measured and reviewed anew"


def publish_reviewed(run: Run, review: ReviewOutcome) -> Report:
    """Publishes exactly what was reviewed, with the review in its provenance and in the report.

    Raises InvalidInput where the report or the checkpoint is gone, or is another than the one that was reviewed.
    """
    places = run.places
    use_room(places)
    with run.progress.phase("preflight"):
        report = _held_report(run)
        if report.published:
            run.progress.finish()
            return report
        existing = look_at_destination(places, {report.provenance.fingerprint})
    run.progress.expect([Phase(FETCH, "", 1.0), Phase("publish", "", 1.0)])
    with run.progress.phase(FETCH):
        artifact = _result(run, report)
    provenance = report.provenance.model_copy(update={"review": review})
    with run.progress.phase("publish") as advance:
        count = counting(artifact.size_bytes, advance, 0.9)
        publishing.publish(artifact, provenance.to_json(), places.destination, existing, places.scratch, count)
        done = {
            "published": True,
            "held": False,
            "review": review,
            "provenance": provenance,
            "artifact": report.artifact.model_copy(update={"uri": places.destination.url}),
        }
        report = report.model_copy(update=done)
        write_report(report, places.reports)
    run.progress.finish()
    return report


def _held_report(run: Run) -> Report:
    """The report of this very job."""
    reports, field = run.places.reports, "spec.output.reports"
    try:
        report = read_report(reports)
    except ValueError as error:
        raise InvalidInput(INVALID_INPUT, field, reports.url, f"{REPORT_JSON} cannot be read", AGAIN) from error
    if report is None:
        raise InvalidInput(INVALID_INPUT, field, reports.url, "the report that was reviewed is gone", AGAIN)
    if report.job.uid != run.job.metadata.uid or not (report.held or report.published):
        problem = f"{REPORT_JSON} is no longer the one that was reviewed"
        raise InvalidInput(INVALID_INPUT, field, reports.url, problem, AGAIN)
    return report


def _result(run: Run, report: Report) -> Artifact:
    fingerprint = report.artifact.fingerprint
    checkpoints = Checkpoints(run.places.workdir / "checkpoints", run.places.remote)
    kept = checkpoints.get(fingerprint) if fingerprint else None
    if kept is None or kept.digest != report.artifact.digest:
        problem = "the result that was reviewed is gone" if kept is None else "it is not the result that was reviewed"
        location = run.job.spec.output.checkpoints_location.child(fingerprint)
        raise InvalidInput(INVALID_INPUT, "spec.output.checkpoints", location, problem, AGAIN)
    return kept
