"""Retries of children that the API server refused (a quota, an admission policy): one at a time, with backoff.

Jobs that were refused for the same reason in the same namespace form a group. While the group is closed, none of them
sends a request. When it opens, one child is offered. If it is refused again, the group closes for twice as long; if it
is accepted, the next one follows at once. The state is in memory only: a new leader rebuilds it with one request for
each job.
"""

import random
import re
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from compression_operator.cluster.errors import Refused
from compression_operator.loop.draft import timestamp
from compression_operator.records.job import JobRecord

FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 300.0
MAX_REFUSAL_TEXT: Final = 800
"""Maximum characters of the API server's message in a status."""

_WORD: Final = re.compile(r"[\w-]+(?:\.[\w-]+)*")
_DIGIT: Final = re.compile(r"\d")

Turn = tuple[int, str, str]
"""Sort key of a member: its round, its creation time, its uid."""
GroupKey = tuple[str, str]
"""Namespace and reason."""


def reason_of(job: JobRecord, refusal: Refused) -> str:
    """Return a refusal's message without the job's name and words with digits, so that it is equal for all jobs.

    Words with digits are numbers, quantities and uids.
    """
    own = {job.child_name, job.name}

    def generalize(match: re.Match[str]) -> str:
        word = match[0]
        return "*" if word in own else "#" if _DIGIT.search(word) else word

    return f"{refusal.reason}: {_WORD.sub(generalize, refusal.message)}"


@dataclass(frozen=True, slots=True)
class _Member:
    """A refused job: its turn, its offer, and the refusal as stated in its status."""

    group: GroupKey
    turn: Turn
    offer: Hashable
    refusal: Refused


@dataclass(slots=True)
class _Group:
    """Jobs that were refused for one reason; ``opens`` is when the next one may be offered."""

    opens: float
    pause: float = FIRST_PAUSE
    turns: list[Turn] = field(default_factory=list)

    @property
    def head(self) -> str:
        """The uid of the next member to offer: the one with the fewest offers, then the oldest."""
        return self.turns[0][2]


class Admission:
    """Groups of refused jobs. ``wake`` is called with the uid of the next job, and the delay in seconds.

    Pauses use ``clock``, times in messages use ``now``; ``jitter`` returns a number from 0 to 1.
    """

    def __init__(
        self,
        wake: Callable[[str, float], None],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._wake = wake
        self._now = now
        self._clock = clock
        self._jitter = jitter
        self._groups: dict[GroupKey, _Group] = {}
        self._members: dict[str, _Member] = {}

    def __len__(self) -> int:
        """Return the number of waiting jobs."""
        return len(self._members)

    def hold(self, job: JobRecord, offer: Hashable) -> Refused | None:
        """Return the refusal if the job may not be offered now, or None if it may.

        ``offer`` identifies the manifest: a job with another offer than the refused one counts as new.
        """
        member = self._members.get(job.uid)
        if member is None:
            return None
        if member.offer != offer:
            self.leave(job.uid)
            return None
        group = self._groups[member.group]
        if group.head == job.uid:
            left = group.opens - self._clock()
            if left <= 0:
                return None
            self._wake(job.uid, left)
        return member.refusal

    def refuse(self, job: JobRecord, offer: Hashable, refusal: Refused) -> Refused:
        """Record a refusal of the API server: the job joins its group, which closes for longer if it was a member.

        Returns the refusal with the time at which the job is offered again at the latest.
        """
        key = (job.namespace, reason_of(job, refusal))
        before = self._members.get(job.uid)
        if before is not None:
            self._close(before.group, doubled=before.group == key)
            self._remove(job.uid)
            if before.group != key:
                self._wake_head(before.group)
        group = self._groups.setdefault(key, _Group(self._clock() + self._spread(FIRST_PAUSE)))
        # A new member joins the latest round: otherwise a stream of new members would always precede the others.
        round_ = before.turn[0] + 1 if before is not None and before.group == key else 0
        turn = (max(round_, group.turns[-1][0] if group.turns else 0), job.created, job.uid)
        insort(group.turns, turn)
        seconds = max(0.0, group.opens - self._clock()) + bisect_left(group.turns, turn) * LONGEST_PAUSE
        stated = self._state(refusal, seconds)
        self._members[job.uid] = _Member(key, turn, offer, stated)
        self._wake_head(key)
        return stated

    def admit(self, uid: str) -> None:
        """Record that the API server accepted a job: the next one of its group follows at once."""
        member = self._members.get(uid)
        if member is not None:
            self._open(member.group)
            self.leave(uid)

    def leave(self, uid: str) -> None:
        """Forget a job that offers no child: it is gone, suspended or ended, or waits for something else."""
        member = self._members.get(uid)
        if member is not None:
            self._remove(uid)
            self._wake_head(member.group)

    def release(self, namespace: str) -> None:
        """Open the groups of a namespace in which a Job has ended or is gone: another Job may fit now."""
        for key in [key for key in self._groups if key[0] == namespace]:
            self._open(key)
            self._wake_head(key)

    def clear(self) -> None:
        """Forget all jobs."""
        self._groups.clear()
        self._members.clear()

    def _state(self, refusal: Refused, seconds: float) -> Refused:
        time = timestamp(self._now() + timedelta(seconds=seconds))
        text = f"{refusal.message[:MAX_REFUSAL_TEXT]}; the operator offers it again by {time} at the latest"
        return type(refusal)(refusal.code, text, request="create")

    def _open(self, key: GroupKey) -> None:
        group = self._groups[key]
        group.opens, group.pause = self._clock(), FIRST_PAUSE

    def _close(self, key: GroupKey, *, doubled: bool) -> None:
        """Close a group: ``doubled`` after another refusal for the same reason, else for the first pause."""
        group = self._groups[key]
        group.pause = min(LONGEST_PAUSE, group.pause * 2) if doubled else FIRST_PAUSE
        group.opens = self._clock() + self._spread(group.pause)

    def _remove(self, uid: str) -> None:
        member = self._members.pop(uid)
        group = self._groups[member.group]
        del group.turns[bisect_left(group.turns, member.turn)]

    def _wake_head(self, key: GroupKey) -> None:
        group = self._groups[key]
        if group.turns:
            self._wake(group.head, max(0.0, group.opens - self._clock()))
        else:
            del self._groups[key]

    def _spread(self, pause: float) -> float:
        return pause * (0.8 + self._jitter() * 0.2)
