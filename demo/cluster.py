"""The clusters of the demo: the interface, and the local cluster."""

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
"""Seconds between two checks of the object store."""


class DemoCluster(Protocol):
    """A cluster with an object store that its pods can reach."""

    intro: str
    """Description of `bring_up()` for the user."""
    bucket: str
    """Bucket of models, including those that jobs publish."""
    prefix: str
    """Prefix of all keys in the bucket: empty, or ending in a slash."""

    @property
    def kubeconfig(self) -> Path:
        """Return the path of the kubeconfig."""

    @property
    def store(self) -> Any:
        """Return a client of the object store."""

    def bring_up(self) -> None:
        """Start the cluster, and upload the model and the data."""

    def install(self) -> None:
        """Install the chart, and prepare the namespace of the jobs."""

    def manifest(self, text: str) -> str:
        """Return an example manifest for this cluster."""


class LocalCluster:
    """The cluster that `python -m localcluster` starts, with its own object store."""

    intro = "the cluster (a real Kubernetes and an S3 server; cold, its build takes minutes), MiniLM and real sentences"
    bucket = "models"
    prefix = ""

    def __init__(self) -> None:
        self.kubeconfig = components.admin_kubeconfig()
        self.store = object_store()

    def bring_up(self) -> None:
        """Start the cluster, and fill its object store while the rest of the cluster starts.

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
                # The store may be that of an earlier cluster, which `up` stops.
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
        """Return the example unchanged, since it is for this cluster."""
        return text
