"""The record of a CompressionJob."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from sys import intern
from typing import Any, Final

from compression_operator.records.cleanup import Cleanup
from compression_operator.records.delivery import NotificationKey
from compression_operator.records.reading import Raw, to_json, version
from compression_operator.records.settings import JobSettings, settings_of
from compression_operator.records.write_locations import CLEANING, checkpoint_location_of, write_locations_of
from compressionjob.conditions import SUSPENDED, reason_of
from compressionjob.group import QUEUE_LABEL
from compressionjob.job_parts import CLEAN, COMPRESS, RUN, Part, first_part
from compressionjob.spec import DEFAULT_RUNTIME
from compressionjob.status import TERMINAL_PHASES, CompressionJobStatus

_MAX_CHILD_NAME: Final = 52


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A CompressionJob.

    ``since``: when a condition changed last. ``receivers``: the receivers that it chose. ``unsent``: the notifications
    that no receiver has accepted yet. ``child_uid``: the Job that the operator created. ``endpoints``: the endpoints of
    the stores that it began with. ``names_measuring``: its spec names the measuring runtime. ``begun``: its part is
    decided; before that, its runtime determines the part and the measuring runtime (``begin``). ``rests``: its queue
    was asked to suspend it. ``settings``: the effective settings, by its spec and its terms. ``checkpoints``: the
    location of its checkpoints.
    """

    uid: str
    namespace: str
    name: str
    version: int
    generation: int
    created: str
    deleting: bool
    queue: str
    runtime: str
    measuring_runtime: str
    names_measuring: bool
    begun: bool
    part: str
    restarts: int
    child_uid: str
    author: str
    suspend: bool
    rests: bool
    settings: JobSettings
    receivers: tuple[str, ...]
    unsent: tuple[NotificationKey, ...]
    cleanup: Cleanup
    checkpoints: str
    phase: str
    reason: str
    since: str
    spec_json: bytes
    status_json: bytes
    endpoints: tuple[tuple[str, str], ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the job has succeeded or failed."""
        return self.phase in TERMINAL_PHASES

    @property
    def cleaning(self) -> bool:
        """Whether it has ended, and a Job of it removes files whose lifetime has passed."""
        return self.ended and self.cleanup.active

    @property
    def over(self) -> bool:
        """Whether it has ended and no Job of it runs any more."""
        return self.ended and not self.cleanup.active

    @property
    def present_runtime(self) -> str:
        """The runtime of the present part."""
        return self.runtime if self.part in (RUN, COMPRESS, CLEAN) else self.measuring_runtime

    @property
    def log_fields(self) -> dict[str, str]:
        """The fields of log lines about the job (``compressionjob.logs``)."""
        return {"namespace": self.namespace, "job": self.name}

    @property
    def child_name(self) -> str:
        """The name of the present part's Job: the same at each attempt, so that no second one is created by mistake."""
        suffix = "" if self.part in (RUN, COMPRESS) else f"-{self.part.lower()}"
        number = self.cleanup.attempts if self.part == CLEAN else self.restarts
        suffix += f"-{number}" if number else ""
        return f"{self.name[: _MAX_CHILD_NAME - len(suffix)].rstrip('-.')}-{self.uid[:8]}{suffix}"

    @property
    def retries(self) -> int:
        """Maximum number of retries of a transient failure."""
        return self.settings.retries

    @property
    def ttl(self) -> float | None:
        """Seconds for which the job is kept after its end."""
        return self.settings.ttl

    @property
    def budget(self) -> float | None:
        """Maximum cost of its pods."""
        return self.settings.budget

    @property
    def deadline(self) -> float | None:
        """Longest time from start to end, in seconds."""
        return self.settings.deadline

    def write_locations(self, claims: Mapping[str, str], endpoints: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Return the locations its pods write to, with the claims of its runtime and the endpoints of its stores.

        The endpoints of a job that has begun do not change. A job that is over has no locations.
        """
        spec = self.spec() if self.spec_json else {}
        removed = (f"{CLEANING}{self.checkpoints}",) if spec and self.cleaning and self.checkpoints else ()
        return write_locations_of(spec, self.namespace, claims, {**(endpoints or {}), **dict(self.endpoints)}) + removed

    def status(self) -> CompressionJobStatus:
        """Return the status as last seen or written."""
        return CompressionJobStatus.model_validate_json(self.status_json)

    def spec(self) -> dict[str, Any]:
        """Return the spec as its author wrote it."""
        spec: dict[str, Any] = json.loads(self.spec_json)
        return spec

    def begin(self, part: Part, measuring_runtime: str) -> "JobRecord":
        """Return the job with its first part and its measuring runtime."""
        return replace(self, part=part, measuring_runtime=measuring_runtime)

    def rewritten(self, metadata: Raw, status: Raw) -> "JobRecord":
        """Return the job with another status, at the version of ``metadata``."""
        phase, cleanup = str(status.get("phase") or "Pending"), Cleanup.of(status)
        return replace(
            self,
            version=version(metadata),
            measuring_runtime=intern(_measuring_runtime(status, self.measuring_runtime)),
            begun=bool(status.get("part")),
            part=intern(_part(status, phase, cleanup, self.part)),
            restarts=int(status.get("restarts") or 0),
            child_uid=_child_uid(status),
            queue=intern(str(status.get("queue") or self.queue)),
            rests=_rests(status),
            # The record of an ended job has no spec any more, and its terms do not change.
            settings=settings_of(self.spec(), status) if self.spec_json and "terms" in status else self.settings,
            unsent=_unsent(status),
            cleanup=cleanup,
            phase=intern(phase),
            reason=intern(_reason(status, phase)),
            since=_since(status) or self.created,
            spec_json=b"" if phase in TERMINAL_PHASES and not cleanup.retains else self.spec_json,
            status_json=to_json(status),
            endpoints=_endpoints(status),
        )

    @classmethod
    def of(cls, raw: Raw) -> "JobRecord":
        """Build the record of a CompressionJob."""
        metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
        phase, cleanup = str(status.get("phase") or "Pending"), Cleanup.of(status)
        runtime = str(spec.get("runtime", DEFAULT_RUNTIME))
        named = str((spec.get("sla") or {}).get("runtime") or "")
        measuring = _measuring_runtime(status, named or runtime)
        return cls(
            uid=metadata["uid"],
            namespace=intern(metadata["namespace"]),
            name=metadata["name"],
            version=version(metadata),
            generation=int(metadata.get("generation") or 0),
            created=metadata.get("creationTimestamp") or "",
            deleting="deletionTimestamp" in metadata,
            # All Jobs use the queue of the first one: removing the label later must not bypass a quota.
            queue=intern(str(status.get("queue") or (metadata.get("labels") or {}).get(QUEUE_LABEL, ""))),
            runtime=intern(runtime),
            measuring_runtime=intern(measuring),
            names_measuring=bool(named),
            begun=bool(status.get("part")),
            part=intern(_part(status, phase, cleanup, first_part(apart=measuring != runtime))),
            restarts=int(status.get("restarts") or 0),
            child_uid=_child_uid(status),
            author=intern(str(spec.get("author") or "")),
            suspend=bool(spec.get("suspend", False)),
            rests=_rests(status),
            settings=settings_of(spec, status),
            receivers=tuple(intern(str(name)) for name in spec.get("notifications") or ()),
            unsent=_unsent(status),
            cleanup=cleanup,
            checkpoints=intern(checkpoint_location_of(spec, metadata["namespace"])),
            phase=intern(phase),
            reason=intern(_reason(status, phase)),
            since=_since(status) or metadata.get("creationTimestamp") or "",
            # An ended job needs its spec only for the removal of its files.
            spec_json=b"" if phase in TERMINAL_PHASES and not cleanup.retains else to_json(spec),
            status_json=to_json(status),
            endpoints=_endpoints(status),
        )


def _reason(status: Raw, phase: str) -> str:
    """Return the reason for the phase: one of the constants of compressionjob.conditions."""
    items = status.get("conditions") or ()
    return reason_of(phase, {item["type"]: (item.get("status", ""), str(item.get("reason", ""))) for item in items})


def _rests(status: Raw) -> bool:
    """Return whether its queue was asked to suspend it and not yet to resume it; spec.suspend may differ by now."""
    return any(item["type"] == SUSPENDED and item.get("status") != "False" for item in status.get("conditions") or ())


def _measuring_runtime(status: Raw, otherwise: str) -> str:
    return str(status.get("measuringRuntime") or otherwise)


def _part(status: Raw, phase: str, cleanup: Cleanup, otherwise: str) -> str:
    """The present part. Clean is never in status.part: operators that do not know it could not read the status."""
    if phase in TERMINAL_PHASES and cleanup.active:
        return CLEAN
    return str(status.get("part") or otherwise)


def _endpoints(status: Raw) -> tuple[tuple[str, str], ...]:
    """Return names and endpoints of the stores that it began with."""
    return tuple((str(item.get("name", "")), str(item.get("endpoint", ""))) for item in status.get("stores") or ())


def _child_uid(status: Raw) -> str:
    return str((status.get("childJob") or {}).get("uid") or "")


def _since(status: Raw) -> str:
    # Timestamps of one form can be compared as text.
    return max((item.get("lastTransitionTime") or "" for item in status.get("conditions") or ()), default="")


def _unsent(status: Raw) -> tuple[NotificationKey, ...]:
    return tuple(
        (intern(str(item.get("receiver", ""))), intern(str(item.get("event", ""))), str(item.get("time", "")))
        for item in status.get("notifications") or ()
        if not item.get("result")
    )
