"""Reads a manifest from a file."""

from pathlib import Path

import yaml

from compression_runner.errors import InvalidInput
from compressionjob.errors import InvalidSpec
from compressionjob.sla_objectives import objectives_of
from compressionjob.spec import CompressionJob, parse_job
from compressionjob.verdict import NO_LIMITS_WARNING


def read_manifest(place: Path) -> CompressionJob:
    """Return the only CompressionJob in a YAML file; objects of other kinds are ignored.

    Raises InvalidInput or InvalidSpec if there is none, there are several, or it is invalid.
    """
    try:
        documents = [document for document in yaml.safe_load_all(place.read_text()) if document]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problem, remedy = _unreadable(error)
        raise InvalidInput("InvalidManifest", "manifest", place, f"it cannot be read: {problem}", remedy) from error
    jobs = [item for item in documents if isinstance(item, dict) and item.get("kind") == "CompressionJob"]
    if len(jobs) > 1:
        raise InvalidInput("InvalidManifest", "manifest", place, f"it holds {len(jobs)} jobs", "give one at a time")
    return parse_job(jobs[0] if jobs else documents[0] if documents else None)


def without_limits(job: CompressionJob) -> list[str]:
    """Return a warning for a job without limits."""
    return [] if objectives_of(job.spec.sla) else [NO_LIMITS_WARNING]


def _unreadable(error: OSError | UnicodeDecodeError | yaml.YAMLError) -> tuple[str, str]:
    if isinstance(error, OSError):
        return str(error.strerror), "name a file that is there and can be read"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text", "name a YAML file"
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
    problem = str(getattr(error, "problem", None) or "it has characters that YAML does not allow")
    problem = problem.replace(r"'\t'", "tab")
    return f"it is no YAML{where}: {problem}", "correct it; keys of one mapping begin at the same column, without tabs"


__all__ = ["InvalidSpec", "read_manifest", "without_limits"]
