"""The uids of jobs that were deleted, the last few thousand."""

from collections import OrderedDict
from typing import Final

MAX_GONE: Final = 4096
"""How many deleted jobs are remembered as deleted."""


class Gone:
    """Deleted jobs: the answer to a write of the operator's own may come after the news of the deletion."""

    def __init__(self) -> None:
        self._uids: OrderedDict[str, None] = OrderedDict()

    def add(self, uid: str) -> None:
        """Remember a job as deleted."""
        self._uids[uid] = None
        if len(self._uids) > MAX_GONE:
            self._uids.popitem(last=False)

    def __contains__(self, uid: str) -> bool:
        return uid in self._uids
