"""What is kept of a CompressionJob."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from sys import intern
from typing import Any, Final

from compression_operator.records.cleanup import Cleanup
from compression_operator.records.delivery import NotificationKey
from compression_operator.records.places import CLEANING, checkpoints_of, places_of
from compression_operator.records.reading import Raw, to_json, version
from compression_operator.records.settings import Settings, settings_of
from compressionjob.conditions import SUSPENDED, reason_of
from compressionjob.group import QUEUE_LABEL
from compressionjob.parts import CLEAN, COMPRESS, RUN, Part, first_part
from compressionjob.spec import DEFAULT_RUNTIME
from compressionjob.status import TERMINAL_PHASES, CompressionJobStatus

_MAX_CHILD_NAME: Final = 52


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A CompressionJob.

    ``since`` is when it came to stand as it stands: when a condition changed last. ``receivers`` are those that it
    chose, ``unsent`` the notifications that none has taken yet. ``child_uid`` is the Job that the operator created.
    ``endpoints`` are those of the stores that it began with.
    ``names_measuring`` says that it names the runtime that measures itself, and ``begun`` that its part is decided:
    before that its runtime has a say in both (``begin``). ``settings`` are those that hold, by its spec and its terms.
    ``checkpoints`` is the place of its checkpoints.
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
    settings: Settings
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
        """Whether the job has succeeded or failed for good."""
        return self.phase in TERMINAL_PHASES

    @property
    def cleaning(self) -> bool:
        """Whether it has ended, and a Job of it removes files whose lifetime is over."""
        return self.ended and self.cleanup.active

    @property
    def over(self) -> bool:
        """Whether it has ended and no Job works for it any more."""
        return self.ended and not self.cleanup.active

    @property
    def present_runtime(self) -> str:
        """The runtime of the present part."""
        return self.runtime if self.part in (RUN, COMPRESS, CLEAN) else self.measuring_runtime

    @property
    def log_fields(self) -> dict[str, str]:
        """What log lines about the job carry (``compressionjob.logs``)."""
        return {"namespace": self.namespace, "job": self.name}

    @property
    def child_name(self) -> str:
        """The name of the present part's Job: the same at every try, so that no second one is created by mistake."""
        suffix = "" if self.part in (RUN, COMPRESS) else f"-{self.part.lower()}"
        number = self.cleanup.attempts if self.part == CLEAN else self.restarts
        suffix += f"-{number}" if number else ""
        return f"{self.name[: _MAX_CHILD_NAME - len(suffix)].rstrip('-.')}-{self.uid[:8]}{suffix}"

    @property
    def retries(self) -> int:
        """How often a failure that may pass is tried again."""
        return self.settings.retries

    @property
    def ttl(self) -> float | None:
        """Seconds for which the job is kept once it has ended."""
        return self.settings.ttl

    @property
    def budget(self) -> float | None:
        """Most that its pods may cost."""
        return self.settings.budget

    @property
    def deadline(self) -> float | None:
        """Longest time from start to end, in seconds."""
        return self.settings.deadline

    def places(self, claims: Mapping[str, str], endpoints: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Where its pods write, with the claims of its runtime and the endpoints of its stores.

        Endpoints of a job that has begun stay as they were. Nothing is known of a job that is over.
        """
        spec = self.spec() if self.spec_json else {}
        removed = (f"{CLEANING}{self.checkpoints}",) if spec and self.cleaning and self.checkpoints else ()
        return places_of(spec, self.namespace, claims, {**(endpoints or {}), **dict(self.endpoints)}) + removed

    def status(self) -> CompressionJobStatus:
        """The status as last seen or written."""
        return CompressionJobStatus.model_validate_json(self.status_json)

    def spec(self) -> dict[str, Any]:
        """The spec as its author wrote it."""
        spec: dict[str, Any] = json.loads(self.spec_json)
        return spec

    def begin(self, part: Part, measuring_runtime: str) -> "JobRecord":
        """The job with the part that it begins with, and the runtime that measures."""
        return replace(self, part=part, measuring_runtime=measuring_runtime)

    def rewritten(self, metadata: Raw, status: Raw) -> "JobRecord":
        """The job with another status, in the version of ``metadata``."""
        phase, cleanup = str(status.get("phase") or "Pending"), Cleanup.of(status)
        return replace(
            self,
            version=version(metadata),
            measuring_runtime=intern(_measuring_runtime(status, self.measuring_runtime)),
            begun=bool(status.get("part")),
            part=intern(str(status.get("part") or self.part)),
            restarts=int(status.get("restarts") or 0),
            child_uid=_child_uid(status),
            queue=intern(str(status.get("queue") or self.queue)),
            rests=_rests(status),
            # An ended job has no spec here any more, and its terms do not change.
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
        """Trim a CompressionJob."""
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
            # The queue of the first Job is that of all: taking the label away afterwards must not pass a quota by.
            queue=intern(str(status.get("queue") or (metadata.get("labels") or {}).get(QUEUE_LABEL, ""))),
            runtime=intern(runtime),
            measuring_runtime=intern(measuring),
            names_measuring=bool(named),
            begun=bool(status.get("part")),
            part=intern(str(status.get("part") or first_part(apart=measuring != runtime))),
            restarts=int(status.get("restarts") or 0),
            child_uid=_child_uid(status),
            author=intern(str(spec.get("author") or "")),
            suspend=bool(spec.get("suspend", False)),
            rests=_rests(status),
            settings=settings_of(spec, status),
            receivers=tuple(intern(str(name)) for name in spec.get("notifications") or ()),
            unsent=_unsent(status),
            cleanup=cleanup,
            checkpoints=intern(checkpoints_of(spec, metadata["namespace"])),
            phase=intern(phase),
            reason=intern(_reason(status, phase)),
            since=_since(status) or metadata.get("creationTimestamp") or "",
            # An ended job needs its spec for the removal of its files, and for nothing else.
            spec_json=b"" if phase in TERMINAL_PHASES and not cleanup.retains else to_json(spec),
            status_json=to_json(status),
            endpoints=_endpoints(status),
        )


def _reason(status: Raw, phase: str) -> str:
    """The reason that explains the phase best: one of the constants of compressionjob.conditions."""
    items = status.get("conditions") or ()
    return reason_of(phase, {item["type"]: (item.get("status", ""), str(item.get("reason", ""))) for item in items})


def _rests(status: Raw) -> bool:
    """Whether its queue was told to let it rest, and not yet to go on: spec.suspend may say otherwise by now."""
    return any(item["type"] == SUSPENDED and item.get("status") != "False" for item in status.get("conditions") or ())


def _measuring_runtime(status: Raw, otherwise: str) -> str:
    return str(status.get("measuringRuntime") or otherwise)


def _endpoints(status: Raw) -> tuple[tuple[str, str], ...]:
    """The names of the stores that it began with, and their endpoints."""
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
