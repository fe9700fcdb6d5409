"""The result of reconcile, as data: the controller carries it out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compression_operator.records.child import ChildRecord
from compression_operator.telemetry.notes import Note


@dataclass(frozen=True, slots=True)
class ReconcilePlan:
    """The next steps for one job, in the order of the fields; an empty plan means that nothing has to be done.

    ``confirm``: read child and pods from the API server and plan again, before an irreversible step.
    ``delete_child``: delete this Job. Without a ``status`` it has the child's name and was not created by the operator:
    plan again.
    ``create``: the manifest of the child Job; plan again once it exists.
    ``patch_child``: a merge patch for the child Job. ``queued``: whether its queue may start it; None changes nothing.
    ``status``: the whole new status. ``delete``: delete the CompressionJob and its dependents.
    ``requeue_after``: seconds until the next reconcile, even if nothing changes.
    """

    confirm: bool = False
    delete_child: ChildRecord | None = None
    create: Mapping[str, Any] | None = None
    patch_child: Mapping[str, Any] | None = None
    queued: bool | None = None
    status: Mapping[str, Any] | None = None
    events: tuple[Note, ...] = ()
    delete: bool = False
    requeue_after: float | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do now."""
        changes = (self.delete_child, self.create, self.patch_child, self.queued, self.status)
        return not self.confirm and not self.delete and not self.events and all(item is None for item in changes)
