"""What reconcile wants done. Data only: ``executor`` does it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

EventType = Literal["Normal", "Warning"]


@dataclass(frozen=True, slots=True)
class Note:
    """An Event about the CompressionJob; ``reason`` is a constant of ``event_reasons``.

    ``cause`` is the reason, of ``compressionjob.conditions``, of a try that failed and is made again.
    """

    type: EventType
    reason: str
    text: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The next steps for one job, in the order of the fields; an empty plan means that all is as it should be.

    ``confirm``: read child and pods from the API server and ask again, before anything that cannot be undone.
    ``create``: the manifest of the child Job; ask again once it exists.
    ``patch_child``: a merge patch for the child Job.
    ``status``: the whole new status. ``delete``: delete the CompressionJob and what it owns.
    ``requeue_after``: seconds until the job must be looked at even if nothing happens.
    """

    confirm: bool = False
    create: Mapping[str, Any] | None = None
    patch_child: Mapping[str, Any] | None = None
    status: Mapping[str, Any] | None = None
    events: tuple[Note, ...] = ()
    delete: bool = False
    requeue_after: float | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do now."""
        changes = (self.create, self.patch_child, self.status)
        return not self.confirm and not self.delete and not self.events and all(item is None for item in changes)
