"""The part Publish: publish a reviewed result from its checkpoint.

The job's status (`JudgedResult`) identifies what may be published. The author can write to report and checkpoint: they
are compared with the status and must match it.
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
from compressionjob.report import JudgedResult, Report
from compressionjob.review import ReviewOutcome

FETCH: Final = "fetch"
FIELD: Final = "spec.output.reports"
AGAIN: Final = "run the job again; it is measured and reviewed anew, and its checkpoints make it short"
# The report is untrusted: the name of its checkpoint must not lead out of the folder.
FINGERPRINT: Final = re.compile(r"[0-9a-f]{32,64}")


@uses_work_directory
def publish_reviewed(run: Run, review: ReviewOutcome, judged: JudgedResult) -> Report:
    """Publish exactly the judged artifact, with the review in its provenance and in the report.

    A pod that runs again after the publication keeps the artifact at the destination. Raises InvalidInput if the report
    or the checkpoint is missing, or differs from the judged one.
    """
    locations = run.locations
    with run.progress.phase("preflight"):
        report = _held_report(run, judged)
        fingerprint = judged.checkpoint or report.artifact.fingerprint
        look_at_destination(locations, {fingerprint})
    run.progress.expect([Phase(FETCH, "", 1.0), Phase("publish", "", 1.0)])
    with run.progress.phase(FETCH):
        artifact = _result(run, fingerprint, judged.digest)
        _require_reviewed_packing(run, artifact, report, fingerprint)
    provenance = report.provenance.model_copy(update={"review": review})
    with run.progress.phase("publish") as advance:
        existing = look_at_destination(locations, {fingerprint})
        reviewed = (existing or {}).get("provenance", {}).get("review") == review.to_json()
        if not (reviewed and publishing.holds(locations.destination, existing, artifact)):
            count = counting(artifact.size_bytes, advance, 0.9)
            publishing.publish(
                artifact, provenance.to_json(), locations.destination, existing, locations.scratch, count
            )
        result = {"uri": locations.destination.url, "digest": artifact.digest, "fingerprint": fingerprint}
        done = {
            "published": True,
            "held": False,
            "review": review,
            "provenance": provenance,
            "artifact": report.artifact.model_copy(update=result),
        }
        report = report.model_copy(update=done)
        write_report(report, locations.reports)
    run.progress.finish()
    return report


def _held_report(run: Run, judged: JudgedResult) -> Report:
    """Return the reviewed report, whose digest is in the status.

    It is kept as report.held.json before report.json is rewritten, for a second attempt of this pod.
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
    reports = run.locations.reports
    contents = {name: reports.read(name) for name in (REPORT_JSON, REPORT_HELD) if reports.find(name)}
    if not contents:
        raise _refused(run, "the report that was reviewed is gone")
    if not digest:
        # An older operator kept no digest of the report.
        return contents.get(REPORT_JSON) or contents[REPORT_HELD]
    for name, content in contents.items():
        if digest_of(content) == digest:
            if name != REPORT_HELD:
                reports.write(REPORT_HELD, content)
            return content
    raise _refused(run, f"{REPORT_JSON} is no longer the one that was reviewed: its SHA-256 differs from the status")


def _result(run: Run, fingerprint: str, digest: str) -> Artifact:
    """Return the checkpoint with each file verified."""
    checkpoints = Checkpoints(run.locations.workdir / "checkpoints", run.locations.remote, run.locations.users)
    kept = checkpoints.get(fingerprint) if FINGERPRINT.fullmatch(fingerprint) else None
    if kept is None or kept.digest != digest:
        problem = "the result that was reviewed is gone" if kept is None else "it is not the result that was reviewed"
        location = f"{run.job.spec.output.checkpoints_location}/{fingerprint}"
        raise InvalidInput(INVALID_INPUT, "spec.output.checkpoints", location, problem, AGAIN)
    return kept


def _require_reviewed_packing(run: Run, artifact: Artifact, report: Report, fingerprint: str) -> None:
    """Require the packing and weight files of the reviewed report: the artifact's digest does not cover them."""
    about = report.artifact
    if "packing" not in about.model_fields_set:
        return  # a report of an older version
    weights = {file.path for file in about.files if file.weights}
    if packing_report(artifact) != about.packing or {file.path for file in artifact.files if file.weights} != weights:
        location = f"{run.job.spec.output.checkpoints_location}/{fingerprint}"
        problem = "its artifact.json is not the one that was reviewed: packing or weights differ"
        raise InvalidInput(INVALID_INPUT, "spec.output.checkpoints", location, problem, AGAIN)


def _refused(run: Run, problem: str) -> InvalidInput:
    return InvalidInput(INVALID_INPUT, FIELD, run.locations.reports.url, problem, AGAIN)
