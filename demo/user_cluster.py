"""The demo in the cluster that KUBECONFIG names."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import yaml

from demo.cluster import NAMESPACE
from demo.installation import RELEASE, SYSTEM_NAMESPACE, upload, write_samples
from localcluster import tools
from localcluster.components import admin_kubeconfig
from localcluster.kubectl import Kubectl
from localcluster.paths import REPOSITORY

PREFIX: Final = "compression-demo/"
"""Prefix of all keys that the demo writes to the bucket."""
KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
ENDPOINT: Final = "AWS_ENDPOINT_URL"
_URI: Final = re.compile(r"s3://(models|data)/")
_ENDPOINT: Final = re.compile(r"^ *endpoint: .*\n", re.MULTILINE)


class DemoError(Exception):
    """The demo cannot start. The message has the cause and the remedy."""


@dataclass(frozen=True)
class Context:
    """The current context of a kubeconfig."""

    name: str
    server: str
    kubeconfig: str
    """The context's part of the files that KUBECONFIG lists, as one kubeconfig."""


def current_context(environment: Mapping[str, str]) -> Context | None:
    """Return the context of KUBECONFIG; None if it is unset or names the local cluster.

    Raises DemoError if it has no current context.
    """
    local = admin_kubeconfig()
    if environment.get("KUBECONFIG", "") in ("", str(local)):
        return None
    view = ["config", "view", "--minify", "--flatten", "--raw"]
    try:
        name, server, whole = (
            subprocess.run([tools.kubectl(), *words], capture_output=True, text=True, check=True).stdout
            for words in (
                ["config", "current-context"],
                [*view, "--output=jsonpath={.clusters[0].cluster.server}"],
                view,
            )
        )
    except subprocess.CalledProcessError as error:
        raise DemoError(
            f"KUBECONFIG={environment['KUBECONFIG']} has no usable current context: {error.stderr.strip()}. "
            "Choose one with `kubectl config use-context`, or unset KUBECONFIG for a local cluster."
        ) from error
    if local.is_file() and server in _servers(local):
        return None
    return Context(name.strip(), server, whole)


def _servers(kubeconfig: Path) -> set[str]:
    """Return the API servers in a kubeconfig, which may be JSON."""
    return {item["cluster"]["server"] for item in yaml.safe_load(kubeconfig.read_text())["clusters"]}


def confirm(context: Context, *, yes: bool, environment: Mapping[str, str], ask: Callable[[str], str] = input) -> None:
    """Print the context and ask before installing. `yes` and CI=true skip the question.

    Raises DemoError if the answer is not yes.
    """
    sys.stdout.write(
        f"KUBECONFIG names a cluster:\n  context   {context.name}\n  server    {context.server}\n"
        f"The demo installs or upgrades the Helm release {RELEASE} in the namespace {SYSTEM_NAMESPACE} (CRDs, cluster "
        f"roles,\nadmission policies), and runs two jobs in the namespace {NAMESPACE}.\n"
    )
    sys.stdout.flush()
    if yes or environment.get("CI") == "true":
        return
    try:
        answer = ask("Install it there? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise DemoError(
            "Nothing was installed. `make demo YES=1` skips the question; unset KUBECONFIG for a local cluster."
        )


class UserCluster:
    """A cluster of the user. `values` of the chart name images that its nodes can pull.

    Keys and endpoint of the object store are environment variables, as for the AWS CLI. Raises DemoError if a setting
    is missing.
    """

    intro = "MiniLM and real sentences, into your bucket"
    prefix = f"{PREFIX}models/"

    def __init__(
        self, context: Context, folder: Path, values: Path | None, bucket: str, environment: Mapping[str, str]
    ) -> None:
        _require(values, bucket, environment)
        self.bucket = bucket
        self.store: Any = boto3.client("s3")
        self._keys = {key: environment[key] for key in KEYS}
        self._endpoint = environment.get(ENDPOINT, "")
        self._values = str(values)
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.touch(0o600)
        self.kubeconfig.write_text(context.kubeconfig)

    def bring_up(self) -> None:
        """Upload the model and the sentences."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_samples(folder)
            upload(self.store, folder / "minilm", self.bucket, f"{PREFIX}models/minilm")
            sentences = folder / "sentences" / "sentences.parquet"
            upload(self.store, sentences, self.bucket, f"{PREFIX}data/sentences.parquet")

    def install(self) -> None:
        """Install the chart with the given values, and create the Secret `s3` with the store's keys for the jobs."""
        command: list[str | Path] = [
            tools.helm(), "upgrade", "--install", RELEASE, REPOSITORY / "charts" / "compression-operator",
            "--kubeconfig", self.kubeconfig, "--namespace", SYSTEM_NAMESPACE, "--create-namespace",
            "--values", self._values, "--wait", "--timeout", "5m",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoError(
                f"helm could not install the chart: {done.stderr.strip()}\n"
                f"`kubectl --namespace {SYSTEM_NAMESPACE} describe pods` shows why a pod does not start. Often the "
                f"node cannot pull its image in {self._values}."
            )
        kubectl = Kubectl(self.kubeconfig)
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3", "namespace": NAMESPACE}}
        kubectl.apply(secret | {"stringData": self._keys})

    def manifest(self, text: str) -> str:
        """Return an example with the user's bucket and endpoint."""
        text = _URI.sub(rf"s3://{self.bucket}/{PREFIX}\1/", text)
        endpoint = f"    endpoint: {self._endpoint}\n" if self._endpoint else ""
        return _ENDPOINT.sub(lambda _match: endpoint, text)


def _require(values: Path | None, bucket: str, environment: Mapping[str, str]) -> None:
    missing = []
    if values is None:
        missing.append("VALUES=values.yaml: values of the chart with images that the nodes can pull")
    elif not values.is_file():
        missing.append(f"VALUES: there is no file {values}")
    if not bucket:
        missing.append("BUCKET=name: a bucket for the model, the data and the results")
    missing += [f"{key} in the environment: keys of the bucket's store" for key in KEYS if not environment.get(key)]
    if missing:
        raise DemoError(
            "The demo on your own cluster needs:\n  "
            + "\n  ".join(missing)
            + f"\nA store other than AWS S3 also needs {ENDPOINT}. For example:\n"
            "  make demo VALUES=values.yaml BUCKET=my-bucket\n"
            "Unset KUBECONFIG for a local cluster. To do it by hand, see the first job on your cluster in the README."
        )
