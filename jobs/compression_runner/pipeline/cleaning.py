"""The part Clean: removes files of an ended job whose lifetime is over, and reports the space that is left."""

from collections.abc import Collection
from typing import Any, Final

from compression_runner.artifact import MARKER, decode
from compression_runner.pipeline.checkpoint_users import fingerprint_of
from compression_runner.pipeline.names import CRASH_REPORT, REPORT_HELD, REPORT_HTML, REPORT_JSON, REPORT_MD
from compression_runner.pipeline.places import OutputPlaces
from compression_runner.pipeline.publishing import existing_artifact
from compression_runner.storage import Store
from compressionjob.retention import CHECKPOINTS, REPORTS, Retained, SpaceUsed

PAGES: Final = (REPORT_HTML, REPORT_MD)


def clean(places: OutputPlaces, job: str, kinds: Collection[Retained]) -> SpaceUsed:
    """Remove what the job with this uid wrote, of these kinds, and return the bytes that are left.

    Checkpoints that another job uses are left to that job. A pod that is killed on the way leaves a state from which
    the next one goes on. Raises InvalidInput or StorageUnavailable.
    """
    kept = 0
    if CHECKPOINTS in kinds:
        kept = _remove_checkpoints(places)
    if REPORTS in kinds:
        _remove_reports(places.reports, job)
    space = space_used(places, job)
    return space.model_copy(update={"checkpoint_bytes": kept or space.checkpoint_bytes})


def space_used(places: OutputPlaces, job: str) -> SpaceUsed:
    """Return the bytes of the checkpoints that a job wrote, of its reports, and of the model that it published."""
    return SpaceUsed(
        checkpoint_bytes=sum(written.size for written in places.users.own.wrote.values()),
        report_bytes=sum(
            entry.size for name in _reports_of(places.reports, job) if (entry := places.reports.find(name))
        ),
        result_bytes=_result_bytes(places.destination, job),
    )


def _remove_checkpoints(places: OutputPlaces) -> int:
    """Remove what was released and no job uses; returns the bytes of this job's checkpoints that others use."""
    users = places.users
    users.release()
    used = {fingerprint for _, usage in users.others() for fingerprint in usage.fingerprints}
    for name, usage in list(users.released()):
        for checkpoint, written in list(usage.released.items()):
            if fingerprint_of(checkpoint) not in used:
                places.checkpoint(checkpoint).discard(written.files, MARKER)
                del usage.released[checkpoint]
        users.replace(name, usage)
    return sum(written.size for written in users.own.released.values())


def _remove_reports(reports: Store, job: str) -> None:
    """Remove the reports of this job; report.json, which says whose they are, comes last."""
    for name in _reports_of(reports, job):
        reports.remove(name)


def _reports_of(reports: Store, job: str) -> list[str]:
    """Names of report files that this very job wrote, report.json last; another job may have written there since."""
    found = [REPORT_HELD] if _is_of(reports, REPORT_HELD, job) else []
    if reports.find(CRASH_REPORT) and f"uid {job}".encode() in reports.read(CRASH_REPORT):
        found.append(CRASH_REPORT)
    return [*found, *PAGES, REPORT_JSON] if _is_of(reports, REPORT_JSON, job) else found


def _is_of(reports: Store, name: str, job: str) -> bool:
    if not job or reports.find(name) is None:
        return False
    try:
        content: Any = decode(reports.read(name))
        return bool(content["job"]["uid"] == job)
    except (ValueError, KeyError, TypeError):
        return False


def _result_bytes(destination: Store, job: str) -> int:
    existing = existing_artifact(destination) or {}
    if not job or existing.get("provenance", {}).get("job", {}).get("uid") != job:
        return 0
    sizes = (file.get("sizeBytes") for file in existing.get("files", ()))
    return sum(size for size in sizes if isinstance(size, int) and size >= 0)
