"""The input of reconcile: one CompressionJob and everything in the cluster that belongs to it."""

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
class ObservedJob:
    """A job and the objects that it depends on, as the cache knows them.

    ``child`` and ``pods`` are those of the job's present part, and so is ``runtime``; ``measuring_runtime`` is the one
    that measures, in every part. ``stores`` are those of the job's namespace by name. ``reviews`` are all reviews that
    name the job, valid or not.

    ``confirmed``: child and pods were just read from the API server, so an object that is missing is really gone.
    ``foreign_child``: a Job that has the child's name but another owner. ``stranger``: a Job that claims to be the
    child, but that the operator did not create. ``refusal``: why the API server did not accept the child just now.
    ``blocker``: a writer at the job's destination, which must end before its Job starts. ``waiting_for_slot``: the
    number of jobs that wait to be measured in its present runtime; ``slot_seconds``: how long each of them takes;
    ``measured_first``: the number of jobs that are measured before this one begins. ``checkpoint_user``: another
    unfinished job that shares the checkpoints which this one is to remove. ``known_jobs``: the uids of all jobs, if
    this one is about to remove files. ``finish``: when the running pod expects to be done, as reported with its
    progress. ``receivers``: the configured receivers of notifications. ``deliveries``: the outcomes of this job's
    notifications. ``namespace_labels``: None where the operator does not read them. ``requirements``: the platform
    team's requirements for all jobs.
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
    known_jobs: tuple[str, ...] = ()
    receivers: Subscriptions = field(default_factory=dict)
    deliveries: tuple[Delivery, ...] = ()
    namespace_labels: Mapping[str, str] | None = None
    requirements: Requirements = field(default_factory=Requirements)
