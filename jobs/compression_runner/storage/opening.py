"""Open the store of a location."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from compression_runner.storage.binding import bound_hub, bound_storage
from compression_runner.storage.credentials import credentials
from compression_runner.storage.directory import DirectoryStore
from compression_runner.storage.store import Readable, Store
from compressionjob.locations import PVC_MOUNT_ROOT, Hub, Location, Storage
from compressionjob.pod_interface import Role


@dataclass(frozen=True)
class Stores:
    """Opens locations with the environment's credentials.

    Relative paths start from `base`; PersistentVolumeClaims are mounted below `claims`. `job` is the uid of the writing
    job, and `namespace` its namespace; both are empty in a local run.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    base: Path = Path()
    claims: Path = Path(PVC_MOUNT_ROOT)
    job: str = ""
    namespace: str = ""

    def open_source(
        self, location: Location, storage: Storage | None, hub: Hub | None, role: Role, field: str
    ) -> Readable:
        """Return the store of a read-only location, which may be on the Hub."""
        if location.scheme == "hf":
            from compression_runner.storage.hub import HubStore

            reached, token = bound_hub(self.environment, hub or Hub(), field, self.namespace)
            return HubStore(location, reached, token, field)
        return self.open(location, storage, role, field)

    def open(
        self, location: Location, storage: Storage | None, role: Role, field: str, *, shared: bool = False
    ) -> Store:
        """Return the store of a location, without contacting it; its errors name `field`.

        One job publishes at a location at a time; at a `shared` location, several may publish the same content. Raises
        InvalidInput if the keys are for another address.
        """
        if location.scheme == "s3":
            from compression_runner.storage.s3 import S3Store  # boto3 takes a third of a second to import
            from compression_runner.storage.s3_identity import require_bound_identity

            given = storage or Storage()
            reached = bound_storage(self.environment, given, role, field, self.namespace)
            keys = credentials(self.environment, role)
            check = partial(require_bound_identity, self.environment, reached.endpoint, field)
            unbound = {} if given.store is not None else {"check_identity": check}
            return S3Store(location, reached, keys, field, self.job, shared=shared, **unbound)
        return DirectoryStore(str(location), self.path(location), field, self.job, shared=shared)

    def path(self, location: Location) -> Path:
        """Return the path of a `file` or `pvc` location on this machine."""
        if location.scheme == "pvc":
            return self.claims / location.container / location.path
        return (self.base / location.path).absolute()
