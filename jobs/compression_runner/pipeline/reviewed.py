"""The part Publish: a result that waited for its review is brought from its checkpoint to the destination.

What may be published comes from the job's status (`Judged`). Report and checkpoint lie where the author can write: they
are compared with it, and they decide nothing.
"""

import re
from typing import Final

from compression_runner.artifact import Artifact, decode
from compression_runner.errors import InvalidInput
from compression_runner.pipeline import publishing
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.names import REPORT_HELD, REPORT_JSON
from compression_runner.pipeline.preflight import look_at_destination
from compression_runner.pipeline.report_files import digest_of, write_report
from compression_runner.pipeline.reporting import packing_report
from compression_runner.pipeline.run import Run, uses_work_directory
from compression_runner.telemetry.phase import Phase
from compression_runner.telemetry.progress import counting
from compressionjob.conditions import INVALID_INPUT
from compressionjob.report import Judged, Report
from compressionjob.review import ReviewOutcome

FETCH: Final = "fetch"
FIELD: Final = "spec.output.reports"
AGAIN: Final = "apply the job again; it is measured and reviewed anew, and its checkpoints make it short"
# A report names a checkpoint, and a name must not lead out of the checkpoints.
FINGERPRINT: Final = re.compile(r"[0-9a-f]{32,64}")


@uses_work_directory
def publish_reviewed(run: Run, review: ReviewOutcome, judged: Judged) -> Report:
    """Publishes exactly what was judged, with the review in its provenance and in the report.

    A pod that runs again after it has published keeps what lies at the destination. Raises InvalidInput where the
    report or the checkpoint is gone, or is another than was judged.
    """
    places = run.places
    with run.progress.phase("preflight"):
        report = _held_report(run, judged)
        fingerprint = judged.checkpoint or report.artifact.fingerprint
        look_at_destination(places, {fingerprint})
    run.progress.expect([Phase(FETCH, "", 1.0), Phase("publish", "", 1.0)])
    with run.progress.phase(FETCH):
        artifact = _result(run, fingerprint, judged.digest)
        _require_told(run, artifact, report, fingerprint)
    provenance = report.provenance.model_copy(update={"review": review})
    with run.progress.phase("publish") as advance:
        existing = look_at_destination(places, {fingerprint})
        reviewed = (existing or {}).get("provenance", {}).get("review") == review.to_json()
        if not (reviewed and publishing.holds(places.destination, existing, artifact)):
            count = counting(artifact.size_bytes, advance, 0.9)
            publishing.publish(artifact, provenance.to_json(), places.destination, existing, places.scratch, count)
        result = {"uri": places.destination.url, "digest": artifact.digest, "fingerprint": fingerprint}
        done = {
            "published": True,
            "held": False,
            "review": review,
            "provenance": provenance,
            "artifact": report.artifact.model_copy(update=result),
        }
        report = report.model_copy(update=done)
        write_report(report, places.reports)
    run.progress.finish()
    return report


def _held_report(run: Run, judged: Judged) -> Report:
    """The report that was reviewed, with the digest that the status has for it.

    It is kept as report.held.json before report.json is rewritten: a second try of this pod finds it there.
    """
    content = _reviewed_bytes(run, judged.report_digest)
    try:
        report = Report.model_validate(decode(content))
    except ValueError as error:
        raise _refused(run, f"{REPORT_JSON} cannot be read") from error
    if report.job.uid != run.job.metadata.uid:
        raise _refused(run, f"{REPORT_JSON} is another job's, not the one that was reviewed")
    return report


def _reviewed_bytes(run: Run, digest: str) -> bytes:
    reports = run.places.reports
    found = {name: reports.read(name) for name in (REPORT_JSON, REPORT_HELD) if reports.find(name)}
    if not found:
        raise _refused(run, "the report that was reviewed is gone")
    if not digest:
        # Held by an older operator, which kept no digest of the report.
        return found.get(REPORT_JSON) or found[REPORT_HELD]
    for name, content in found.items():
        if digest_of(content) == digest:
            if name != REPORT_HELD:
                reports.write(REPORT_HELD, content)
            return content
    raise _refused(run, f"{REPORT_JSON} is no longer the one that was reviewed: its SHA-256 differs from the status")


def _result(run: Run, fingerprint: str, digest: str) -> Artifact:
    """The checkpoint's content, each file verified."""
    checkpoints = Checkpoints(run.places.workdir / "checkpoints", run.places.remote, run.places.users)
    kept = checkpoints.get(fingerprint) if FINGERPRINT.fullmatch(fingerprint) else None
    if kept is None or kept.digest != digest:
        problem = "the result that was reviewed is gone" if kept is None else "it is not the result that was reviewed"
        location = f"{run.job.spec.output.checkpoints_location}/{fingerprint}"
        raise InvalidInput(INVALID_INPUT, "spec.output.checkpoints", location, problem, AGAIN)
    return kept


def _require_told(run: Run, artifact: Artifact, report: Report, fingerprint: str) -> None:
    """The digest covers the files, not how they are packed, nor which count: the report that was reviewed says that."""
    about = report.artifact
    if "packing" not in about.model_fields_set:
        return  # an older version's
    weights = {file.path for file in about.files if file.weights}
    if packing_report(artifact) != about.packing or {file.path for file in artifact.files if file.weights} != weights:
        location = f"{run.job.spec.output.checkpoints_location}/{fingerprint}"
        problem = "its artifact.json is not the one that was reviewed: packing or weights differ"
        raise InvalidInput(INVALID_INPUT, "spec.output.checkpoints", location, problem, AGAIN)


def _refused(run: Run, problem: str) -> InvalidInput:
    return InvalidInput(INVALID_INPUT, FIELD, run.places.reports.url, problem, AGAIN)
