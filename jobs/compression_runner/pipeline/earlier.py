"""What an earlier run of a job like this one left in its report: how long it measured."""

from compression_runner.pipeline.report_files import earlier_report
from compression_runner.storage import Store
from compression_runner.telemetry.phase import Key
from compressionjob.spec import CompressionJob

MEASURE: Key = ("measure", "")


def measuring_before(job: CompressionJob, reports: Store) -> dict[Key, float]:
    """Seconds that measuring took, by its phase; empty where nothing like it was measured.

    Stages are told by their checkpoints.
    """
    report = earlier_report(reports)
    if report is None:
        return {}
    before, now = report.job.spec, job.spec.to_json()
    seconds = report.timings.get("measuring")
    if seconds is None or any(before.get(part) != now.get(part) for part in ("benchmark", "data")):
        return {}
    return {MEASURE: seconds}
