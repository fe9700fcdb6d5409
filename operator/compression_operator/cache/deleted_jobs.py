"""The uids of jobs that were deleted, the last few thousand."""

from collections import OrderedDict
from typing import Final

MAX_DELETED: Final = 4096
"""Number of uids that are kept."""


class DeletedJobs:
    """Deleted jobs: the response to the operator's own write may arrive after the watch event of the deletion."""

    def __init__(self) -> None:
        self._uids: OrderedDict[str, None] = OrderedDict()

    def add(self, uid: str) -> None:
        """Record a job as deleted."""
        self._uids[uid] = None
        if len(self._uids) > MAX_DELETED:
            self._uids.popitem(last=False)

    def __contains__(self, uid: str) -> bool:
        return uid in self._uids
