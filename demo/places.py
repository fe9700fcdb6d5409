"""Where the demo plays: the local cluster, or the one that KUBECONFIG names."""

import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from demo.installation import install_chart, object_store, upload_samples, write_samples
from localcluster import components, namespaces
from localcluster.paths import REPOSITORY

NAMESPACE: Final = "compression-demo"
POLL: Final = 0.2
"""Seconds between two looks at the object store."""


class Place(Protocol):
    """A cluster with an object store that its pods reach."""

    intro: str
    """What bringing it up means, for the user."""
    bucket: str
    """Bucket of models, those that jobs publish among them."""
    prefix: str
    """Of all keys in the bucket: empty, or ending in a slash."""

    @property
    def kubeconfig(self) -> Path:
        """Return the kubeconfig for every command."""

    @property
    def store(self) -> Any:
        """Return a client of the object store."""

    def bring_up(self) -> None:
        """Have the cluster run, and the model and the data in the object store."""

    def install(self) -> None:
        """Install the chart, and make the namespace of the jobs ready."""

    def manifest(self, text: str) -> str:
        """Return an example as it is applied here."""


class LocalCluster:
    """The cluster that `python -m localcluster` starts, with its own object store."""

    intro = "the cluster (a real Kubernetes and an S3 server; cold, its build takes minutes), MiniLM and real sentences"
    bucket = "models"
    prefix = ""

    def __init__(self) -> None:
        self.kubeconfig = components.admin_kubeconfig()
        self.store = object_store()

    def bring_up(self) -> None:
        """Start the cluster, and fill its object store while the rest of it is still being built.

        Raises CalledProcessError when the cluster does not start.
        """
        command = [sys.executable, "-m", "localcluster", "up"]
        with subprocess.Popen(command, cwd=REPOSITORY) as cluster, tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            while cluster.poll() is None and not components.object_store_answers():
                time.sleep(POLL)
            if cluster.poll():
                raise subprocess.CalledProcessError(cluster.returncode, command)
            write_samples(folder)
            if cluster.poll() is None:
                # What answered may be the store of an earlier cluster, which `up` ends.
                with suppress(Boto3Error, BotoCoreError, ClientError):
                    upload_samples(self.store, folder)
            if cluster.wait():
                raise subprocess.CalledProcessError(cluster.returncode, command)
            upload_samples(self.store, folder)

    def install(self) -> None:
        """Install the chart with the local cluster's values."""
        namespaces.prepare(NAMESPACE)
        install_chart()

    def manifest(self, text: str) -> str:
        """Return the example: it is written for this cluster."""
        return text
