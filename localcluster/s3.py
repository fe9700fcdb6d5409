"""The S3 server: versitygw with a folder for its buckets."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcluster import gobuild, ports
from localcluster.servers import Servers, servers

ACCESS_KEY = "compression"
SECRET_KEY = "compression-secret"  # a local server's, known to everyone
REGION = "us-east-1"
_NAME = "versitygw"


@dataclass(frozen=True)
class ObjectStore:
    """A running S3 server. Its buckets are the folders in `folder`."""

    host: str
    port: int
    folder: Path
    _servers: Servers
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION

    @property
    def endpoint(self) -> str:
        """URL for clients."""
        return f"http://{self.host}:{self.port}"

    def kill(self) -> None:
        """Kill the server, as in a crash. Its objects stay."""
        self._servers.stop(_NAME)

    def restart(self) -> None:
        """Start the server again at the same endpoint, after kill()."""
        _run(self._servers, self.host, self.port)


def command(binary: Path, folder: Path, host: str, port: int) -> list[str]:
    """Return the command line of versitygw for an existing folder."""
    return [str(binary), "--port", f"{host}:{port}", "--region", REGION, str(folder)]


def environment() -> Mapping[str, str]:
    """Return the environment variables with the server's credentials."""
    return {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}


def answers(host: str, port: int) -> bool:
    """Return whether a server listens at the address."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


@contextmanager
def start() -> Iterator[ObjectStore]:
    """Start an empty S3 server on a free loopback port. It ends with the block or with the process."""
    gobuild.ensure(gobuild.VERSITYGW)
    with servers("s3") as group:
        store = ObjectStore("127.0.0.1", ports.free(), group.folder / "buckets", group)
        store.folder.mkdir()
        store.restart()
        yield store


def _run(group: Servers, host: str, port: int) -> None:
    argv = command(gobuild.ensure(gobuild.VERSITYGW), group.folder / "buckets", host, port)
    group.start(_NAME, argv, env=environment())
    group.wait(_NAME, lambda: answers(host, port), seconds=20)
