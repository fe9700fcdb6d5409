"""What reconcile looks at: one CompressionJob and everything in the cluster that belongs to it."""

from dataclasses import dataclass

from compression_operator.cluster.errors import Refused
from compression_operator.records import ChildRecord, JobRecord, PodRecord, RuntimeRecord
from compressionjob.report import Progress


@dataclass(frozen=True, slots=True)
class Observed:
    """A job and its surroundings, as the cache knows them.

    ``confirmed`` says that child and pods were read from the API server just now: what is missing then is really
    gone. ``foreign_child`` is a Job that has the child's name but another owner; ``refusal`` is why the API server did
    not take the child just now.
    """

    job: JobRecord
    runtime: RuntimeRecord | None = None
    child: ChildRecord | None = None
    pods: tuple[PodRecord, ...] = ()
    progress: Progress | None = None
    confirmed: bool = False
    foreign_child: ChildRecord | None = None
    refusal: Refused | None = None
