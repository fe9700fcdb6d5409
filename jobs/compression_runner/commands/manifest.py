"""Reads a manifest from a file."""

from pathlib import Path

import yaml

from compression_runner.errors import InvalidInput
from compressionjob.errors import InvalidSpec
from compressionjob.sla import NO_LIMITS_WARNING, objectives_of
from compressionjob.spec import CompressionJob, parse_job


def read_manifest(place: Path) -> CompressionJob:
    """The one CompressionJob in a YAML file; other kinds of objects in it are left alone.

    Raises InvalidInput or InvalidSpec where there is none, several, or it is wrong.
    """
    try:
        documents = [document for document in yaml.safe_load_all(place.read_text()) if document]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput("InvalidManifest", "manifest", place, f"it cannot be read: {error}", "correct it") from error
    jobs = [item for item in documents if isinstance(item, dict) and item.get("kind") == "CompressionJob"]
    if len(jobs) > 1:
        raise InvalidInput("InvalidManifest", "manifest", place, f"it holds {len(jobs)} jobs", "give one at a time")
    return parse_job(jobs[0] if jobs else documents[0] if documents else None)


def without_limits(job: CompressionJob) -> list[str]:
    """Return the warning that a job without limits deserves before it runs."""
    return [] if objectives_of(job.spec.sla) else [NO_LIMITS_WARNING]


__all__ = ["InvalidSpec", "read_manifest", "without_limits"]
