"""A real S3 server with a tiny model and data in it, and a runner's pod as a process."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from compression_runner.pipeline.machine_lock import LOCK_VARIABLE
from compressionjob.pod_input import digest_of, encode
from compressionjob.report import Summary, parse_summary
from localcluster import s3
from tests.support import tiny_models
from tests.support.forked import ForkedRunner


@dataclass(frozen=True)
class Bucket:
    """A bucket of a running server, with the client of its owner."""

    server: s3.ObjectStore
    name: str
    client: Any

    def put_folder(self, folder: Path, prefix: str) -> None:
        """Upload every file below a folder."""
        for place in sorted(folder.rglob("*")):
            if place.is_file():
                self.client.upload_file(str(place), self.name, f"{prefix}/{place.relative_to(folder).as_posix()}")

    def keys(self, prefix: str) -> list[str]:
        """Return every key below a prefix, without the prefix."""
        listed = self.client.list_objects_v2(Bucket=self.name, Prefix=f"{prefix}/").get("Contents", [])
        return sorted(str(item["Key"]).removeprefix(f"{prefix}/") for item in listed)

    def read(self, key: str) -> bytes:
        """Return one object."""
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def delete(self, prefix: str) -> None:
        """Every object below a prefix."""
        for key in self.keys(prefix):
            self.client.delete_object(Bucket=self.name, Key=f"{prefix}/{key}")


@pytest.fixture(scope="package", autouse=True)
def _fork_server() -> None:
    """Start the server of `ForkedRunner`: one worker runs the files that share this fixture, so it imports once."""
    forkserver.ensure_running()


@pytest.fixture(autouse=True)
def _turns_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let local runs of tests not wait for other runs on this machine."""
    monkeypatch.setenv(LOCK_VARIABLE, str(tmp_path / "runs.lock"))


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket with the models `perceptron` and `bert`, and their data: `arrays.npz` and `sentences.parquet`."""
    with s3.start() as server:
        client = boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            region_name=server.region,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )
        client.create_bucket(Bucket="models")
        bucket = Bucket(server, "models", client)
        folder = tmp_path_factory.mktemp("seed")
        bucket.put_folder(tiny_models.perceptron(folder / "perceptron"), "perceptron")
        client.upload_file(str(tiny_models.array_data(folder / "arrays.npz")), "models", "arrays.npz")
        bucket.put_folder(tiny_models.bert(folder / "bert"), "bert")
        client.upload_file(str(tiny_models.text_data(folder / "sentences.parquet")), "models", "sentences.parquet")
        yield bucket
        client.close()


def manifest(endpoint: str, **changes: Any) -> dict[str, Any]:
    """Return a job in the bucket; `changes` replace fields of its spec.

    Its model is a graph: a run of a Transformers model imports and exports it for longer than all else takes.
    """
    spec: dict[str, Any] = {
        "model": {"source": "s3://models/perceptron/model.onnx", "task": "onnx"},
        "storage": {"endpoint": endpoint},
        "data": {"evaluation": {"source": "s3://models/arrays.npz"}},
        "pipeline": [{"prune": {"sparsity": "0.3"}}, {"quantize": {"method": "dynamic"}}],
        "sla": {"size": {"maxRatio": "0.9"}},
        "benchmark": {"timeLimit": "1s", "threads": 1},
        "output": {"destination": "s3://models/out"},
    }
    return {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionJob",
        "metadata": {"name": "tiny", "namespace": "default", "uid": "u-1"},
        "spec": spec | changes,
    }


def text_manifest(endpoint: str, **changes: Any) -> dict[str, Any]:
    """Return a job with a Transformers model, which is exported to a graph."""
    text: dict[str, Any] = {
        "model": {"source": "s3://models/bert", "task": "text-embedding"},
        "data": {"evaluation": {"source": "s3://models/sentences.parquet"}},
        "pipeline": [{"quantize": {"method": "dynamic"}}],
        "benchmark": {"sequenceLength": 16, "timeLimit": "1s", "threads": 1},
    }
    return manifest(endpoint, **(text | changes))


def environment(
    server: s3.ObjectStore, job: Mapping[str, Any], workdir: Path, documents: Mapping[str, Any] | None = None,
    **more: str,
) -> dict[str, str]:  # fmt: skip
    """Return the environment of a runner's container, with the keys of all three roles, and the file of its input.

    ``documents`` are those of the input beside the job.
    """
    text, place = encode({"job": job, **(documents or {})}), workdir.parent / f"{workdir.name}.input"
    place.write_bytes(text.encode())
    keys = {
        f"{role}_AWS_{name}": value
        for role in ("MODEL", "DATA", "OUTPUT")
        for name, value in (("ACCESS_KEY_ID", server.access_key), ("SECRET_ACCESS_KEY", server.secret_key))
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        **os.environ,
        **keys,
        "COMPRESSION_INPUT": str(place),
        "COMPRESSION_INPUT_DIGEST": digest_of(text),
        "COMPRESSION_WORKDIR": str(workdir),
        "COMPRESSION_PORT": str(port),
        "COMPRESSION_TERMINATION_LOG": str(workdir.parent / f"{workdir.name}.termination"),
        **more,
    }


@dataclass(frozen=True)
class Ended:
    """The end of a pod."""

    status: int
    summary: Summary | None
    log: str


def start_pod(variables: Mapping[str, str]) -> ForkedRunner:
    """Start a runner as in a pod, with its termination message in a file, which the kubelet normally creates."""
    Path(variables["COMPRESSION_TERMINATION_LOG"]).write_text("")
    return ForkedRunner(["pod"], variables)


def end_of(process: ForkedRunner, variables: Mapping[str, str]) -> Ended:
    """Wait for a pod to end."""
    ended = process.end(timeout=300)
    return Ended(ended.returncode, _summary(variables), ended.stderr)


def _summary(variables: Mapping[str, str]) -> Summary | None:
    message = Path(variables["COMPRESSION_TERMINATION_LOG"]).read_text()
    assert len(message.encode()) <= 4096
    return parse_summary(message) if message else None


def run_pod(variables: Mapping[str, str]) -> Ended:
    """Run a pod to its end."""
    return end_of(start_pod(variables), variables)


def run_new_pod(variables: Mapping[str, str]) -> Ended:
    """Run a pod with an interpreter of its own, as its container starts it; its imports take seconds."""
    Path(variables["COMPRESSION_TERMINATION_LOG"]).write_text("")
    command = [sys.executable, "-m", "compression_runner", "pod"]
    ended = subprocess.run(command, env=dict(variables), stderr=subprocess.PIPE, text=True, timeout=300, check=False)
    return Ended(ended.returncode, _summary(variables), ended.stderr)


def ask(variables: Mapping[str, str], path: str) -> str:
    """Return the response of a running pod over HTTP."""
    with urllib.request.urlopen(f"http://127.0.0.1:{variables['COMPRESSION_PORT']}{path}", timeout=5) as answer:
        return str(answer.read().decode())
