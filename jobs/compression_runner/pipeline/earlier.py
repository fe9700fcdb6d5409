"""Read the duration of the measurement from the report of an earlier run of a similar job."""

from compression_runner.pipeline.report_files import earlier_report
from compression_runner.storage import Store
from compression_runner.telemetry.phase import Key
from compressionjob.spec import CompressionJob

MEASURE: Key = ("measure", "")


def measuring_before(job: CompressionJob, reports: Store) -> dict[Key, float]:
    """Return the seconds of the measuring phase; empty if benchmark or data differ, or there is no report.

    The durations of stages come from their checkpoints.
    """
    report = earlier_report(reports)
    if report is None:
        return {}
    before, now = report.job.spec, job.spec.to_json()
    seconds = report.timings.get("measuring")
    if seconds is None or any(before.get(part) != now.get(part) for part in ("benchmark", "data")):
        return {}
    return {MEASURE: seconds}
