"""What reconcile looks at: one CompressionJob and everything in the cluster that belongs to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from compression_operator.cache.writers import Writer
from compression_operator.cluster.errors import Refused
from compression_operator.records.child import ChildRecord
from compression_operator.records.delivery import Delivery, Subscriptions
from compression_operator.records.job import JobRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.requirements import Requirements
from compression_operator.records.review import ReviewRecord
from compression_operator.records.runtime import RuntimeRecord
from compression_operator.records.store import StoreRecord
from compressionjob.report import Progress


@dataclass(frozen=True, slots=True)
class Observed:
    """A job and its surroundings, as the cache knows them.

    ``child`` and ``pods`` are those of the job's present part, and so is ``runtime``; ``measuring_runtime`` is the one
    that measures, whichever part it is. ``stores`` are those of the job's namespace by name. ``reviews`` name the job,
    whatever they are worth.

    ``confirmed`` says that child and pods were read from the API server just now: what is missing then is really
    gone. ``foreign_child`` is a Job that has the child's name but another owner; ``stranger`` one that says that it is
    the child, but was not created by the operator. ``refusal`` is why the API server did not take the child just now.
    ``blocker`` is what may write where this job would, and must end before its Job starts. ``waiting_for_slot`` is the
    number of jobs that wait to be measured in its present runtime, ``slot_seconds`` how long each of them takes, and
    ``measured_first`` the number of jobs for which it does not begin yet. ``checkpoint_user`` is another
    unfinished job that shares the checkpoints which this one is to remove. ``finish`` is when the running pod expects
    to be done, told with its progress. ``receivers`` are those that can be told of jobs, and ``deliveries`` what became
    of this job's notifications. ``namespace_labels`` are None where the operator does not read them, and
    ``requirements`` are what the platform team requires of all jobs.
    """

    job: JobRecord
    runtime: RuntimeRecord | None = None
    measuring_runtime: RuntimeRecord | None = None
    stores: Mapping[str, StoreRecord] = field(default_factory=dict)
    reviews: tuple[ReviewRecord, ...] = ()
    child: ChildRecord | None = None
    pods: tuple[PodRecord, ...] = ()
    progress: Progress | None = None
    finish: datetime | None = None
    confirmed: bool = False
    foreign_child: ChildRecord | None = None
    refusal: Refused | None = None
    stranger: ChildRecord | None = None
    blocker: Writer | None = None
    waiting_for_slot: int = 0
    slot_seconds: float | None = None
    measured_first: int = 0
    checkpoint_user: str = ""
    receivers: Subscriptions = field(default_factory=dict)
    deliveries: tuple[Delivery, ...] = ()
    namespace_labels: Mapping[str, str] | None = None
    requirements: Requirements = field(default_factory=Requirements)
