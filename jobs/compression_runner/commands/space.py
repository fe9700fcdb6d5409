"""The disk space of a job: remove files in the part Clean, and report bytes in every part."""

import json
import logging
from collections.abc import Mapping
from typing import Final

from compression_runner.errors import RunnerError, StorageUnavailable
from compression_runner.storage import Stores
from compressionjob.errors import FieldProblem, InvalidSpec
from compressionjob.job_parts import CLEAN
from compressionjob.pod_interface import CLEAN_VARIABLE, KNOWN_JOBS_VARIABLE
from compressionjob.report import Summary
from compressionjob.retention import RETAINED, Retained, SpaceUsed
from compressionjob.spec import CompressionJob

LOG: Final = logging.getLogger("compression_runner")


def clean(job: CompressionJob, stores: Stores, environment: Mapping[str, str]) -> Summary:
    """Remove the kinds of files that the operator names. Raises InvalidSpec, InvalidInput or StorageUnavailable."""
    from compression_runner.pipeline import cleaning
    from compression_runner.pipeline.run_locations import outputs_of

    kinds = _kinds(environment)
    LOG.info("removing %s", " and ".join(kinds), extra={"job": job.metadata.name, "namespace": job.metadata.namespace})
    known = [uid for uid in environment.get(KNOWN_JOBS_VARIABLE, "").split(",") if uid]
    return Summary(part=CLEAN, space=cleaning.clean(outputs_of(job.spec, stores), job.metadata.uid, kinds, known))


def space_of(job: CompressionJob, stores: Stores, error: RunnerError | None = None) -> SpaceUsed | None:
    """Return the space of the job's files; None if the store does not respond, also if `error` shows that."""
    from compression_runner.pipeline import cleaning
    from compression_runner.pipeline.run_locations import outputs_of

    if isinstance(error, StorageUnavailable):
        return None
    try:
        return cleaning.space_used(outputs_of(job.spec, stores), job.metadata.uid)
    except RunnerError as unknown:
        LOG.warning("the space of the job's files is not known: %s", unknown)
        return None


def _kinds(environment: Mapping[str, str]) -> list[Retained]:
    given = environment.get(CLEAN_VARIABLE, "")
    try:
        named = json.loads(given)
        kinds = [kind for kind in RETAINED if kind in named]
    except (ValueError, TypeError):
        kinds = []
    if not kinds or len(kinds) != len(named):
        remedy = "upgrade the runner's image to the operator's version: it says what to remove"
        raise InvalidSpec([FieldProblem(CLEAN_VARIABLE, given, remedy)])
    return kinds
