"""The part Clean: remove expired files of an ended job, and report the remaining space."""

from collections.abc import Collection
from typing import Any, Final

from compression_runner.artifact import MARKER, decode
from compression_runner.pipeline.checkpoint_users import fingerprint_of
from compression_runner.pipeline.names import CRASH_REPORT, REPORT_HELD, REPORT_HTML, REPORT_JSON, REPORT_MD
from compression_runner.pipeline.publishing import existing_artifact
from compression_runner.pipeline.run_locations import OutputLocations
from compression_runner.storage import Store
from compressionjob.retention import CHECKPOINTS, REPORTS, Retained, SpaceUsed

PAGES: Final = (REPORT_HTML, REPORT_MD)


def clean(locations: OutputLocations, job: str, kinds: Collection[Retained], known: Collection[str] = ()) -> SpaceUsed:
    """Remove files of these kinds that the job with this uid wrote, and return the remaining bytes.

    ``known`` are the first characters of the uids of all jobs; without them no job counts as deleted. Checkpoints that
    another job uses stay. If a pod is killed, the next one continues. Raises InvalidInput or StorageUnavailable.
    """
    kept = 0
    if CHECKPOINTS in kinds:
        kept = _remove_checkpoints(locations, known)
    if REPORTS in kinds:
        _remove_reports(locations.reports, job)
    space = space_used(locations, job)
    return space.model_copy(update={"checkpoint_bytes": kept or space.checkpoint_bytes})


def space_used(locations: OutputLocations, job: str) -> SpaceUsed:
    """Return the bytes of the checkpoints that a job wrote, of its reports, and of the model that it published."""
    return SpaceUsed(
        checkpoint_bytes=sum(written.size for written in locations.users.own.wrote.values()),
        report_bytes=sum(
            entry.size for name in _reports_of(locations.reports, job) if (entry := locations.reports.find(name))
        ),
        result_bytes=_result_bytes(locations.destination, job),
    )


def _remove_checkpoints(locations: OutputLocations, known: Collection[str]) -> int:
    """Remove released checkpoints that no job uses; return the bytes of this job's checkpoints that others use."""
    users = locations.users
    users.release()
    if known:
        users.end_deleted(known)
    used = {fingerprint for _, usage in users.others() for fingerprint in usage.fingerprints}
    for name, usage in list(users.released()):
        for checkpoint, written in list(usage.released.items()):
            if fingerprint_of(checkpoint) not in used:
                locations.checkpoint(checkpoint).discard(written.files, MARKER)
                del usage.released[checkpoint]
        users.replace(name, usage)
    return sum(written.size for written in users.own.released.values())


def _remove_reports(reports: Store, job: str) -> None:
    """Remove the reports of this job; report.json, which identifies the job, comes last."""
    for name in _reports_of(reports, job):
        reports.remove(name)


def _reports_of(reports: Store, job: str) -> list[str]:
    """Return the names of this job's report files, report.json last; another job may have written there since."""
    names = [REPORT_HELD] if _is_of(reports, REPORT_HELD, job) else []
    if reports.find(CRASH_REPORT) and f"uid {job}".encode() in reports.read(CRASH_REPORT):
        names.append(CRASH_REPORT)
    return [*names, *PAGES, REPORT_JSON] if _is_of(reports, REPORT_JSON, job) else names


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
