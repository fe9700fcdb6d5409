"""Two jobs publish at one destination at once, and one is killed: the destination has a complete artifact of one of
them.

The killed process is started again, as its Job would do. A process that finds another at its destination ends with the
error that makes its Job try later; here it is not started again.
"""

import errno
import fcntl
import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import cast

import pytest

from compression_runner import artifact as artifacts
from compression_runner.artifact import Artifact
from compression_runner.errors import StorageUnavailable
from compression_runner.pipeline import publishing
from compression_runner.storage import Store, Stores
from compression_runner.storage import s3 as s3_store
from compression_runner.storage.s3_upload import PART
from compressionjob.locations import Storage, parse_location
from compressionjob.pod_interface import Role
from tests.integration.runner.conftest import Bucket

FORK = multiprocessing.get_context("fork")
ROUNDS = 20
TAKEN = 4
READER = "reader"
SEED = int(os.environ.get("TWO_WRITERS_SEED", random.SystemRandom().randrange(1 << 32)))


@dataclass(frozen=True)
class Destination:
    """A location, and what opens it for a job."""

    open: Callable[[str], Store]

    def content(self) -> str:
        """Return the digest of the artifact at the destination, after comparing every file with its checksum."""
        store = self.open(READER)
        listed = artifacts.parse(json.loads(store.read(artifacts.MARKER)), Path("/"))
        assert sorted(entry.path for entry in store.list()) == sorted(
            [artifacts.MARKER, *(file.path for file in listed.files)]
        )
        for file in listed.files:
            entry = store.find(file.path)
            assert entry is not None, file.path
            assert store.checksum(entry) == file.sha256, file.path
        return listed.digest


def make_models(tmp_path_factory: pytest.TempPathFactory, size: int) -> list[Artifact]:
    """Two artifacts with the same paths, some of the same content."""
    entries = []
    for name in ("u-1", "u-2"):
        folder = tmp_path_factory.mktemp(name)
        (folder / "config.json").write_text("{}")
        (folder / "tokenizer.json").write_text(name)
        (folder / "model.onnx").write_bytes(os.urandom(size))
        (folder / "vocabulary.txt").write_text(name * 1000)
        entries.append(artifacts.seal(folder, "onnx", "text-embedding"))
    return entries


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> list[Artifact]:
    """With a file that goes up in parts."""
    return make_models(tmp_path_factory, PART + 1000)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> list[Artifact]:
    """With a file of a few blocks."""
    return make_models(tmp_path_factory, 3_000_000)


def publish(destination: Destination, job: str, model: Artifact, scratch: Path) -> None:
    """One pod's publication; the process ends with a status like the runner's."""
    scratch.mkdir(parents=True, exist_ok=True)
    status = 1
    try:
        store = destination.open(job)
        publishing.publish(model, {"job": {"uid": job}}, store, publishing.existing_artifact(store), scratch)
        status = 0
    except StorageUnavailable as error:
        status = TAKEN if error.reason == "DestinationTaken" else 1
        (scratch / "error").write_text(str(error))
    except Exception as error:  # noqa: BLE001 - the parent shows it
        (scratch / "error").write_text(repr(error))
    finally:
        os._exit(status)


def fight(destination: Destination, models: list[Artifact], tmp_path: Path, rounds: int) -> list[list[int | None]]:
    """Rounds of two writers, of which one is killed at a random moment and started again. Returns how each ended."""
    chance = random.Random(SEED)

    def start(index: int) -> BaseProcess:
        job = f"u-{index + 1}"
        process = FORK.Process(target=publish, args=(destination, job, models[index], tmp_path / job))
        process.start()
        return process

    began = time.monotonic()
    alone = start(0)
    alone.join(30)
    duration = time.monotonic() - began
    assert alone.exitcode == 0
    ends = []
    for attempt in range(rounds):
        pods = [start(0), start(1)]
        victim, moment = chance.randrange(2), chance.uniform(0, 1.5 * duration)
        time.sleep(moment)
        os.kill(pods[victim].pid or 0, signal.SIGKILL)
        pods[victim].join(30)
        first = pods[victim].exitcode
        pods[victim] = start(victim)
        for pod in pods:
            pod.join(30)
        codes = [pod.exitcode for pod in pods]
        ends.append([first, *codes])
        about = f"seed {SEED}, round {attempt}: killed {victim} after {moment:.3f} s, ended with {codes}"
        errors = [place.read_text() for place in tmp_path.glob("*/error")]
        assert set(codes) <= {0, TAKEN}, f"{about}: {errors}"
        try:
            digest = destination.content()
        except Exception as error:
            raise AssertionError(f"{about}: {error}") from error
        assert digest in [model.digest for model in models], about
        assert 0 in codes, about
    return ends


@pytest.fixture
def s3_destination(bucket: Bucket) -> Iterator[Destination]:
    keys = {
        "OUTPUT_AWS_ACCESS_KEY_ID": bucket.server.access_key,
        "OUTPUT_AWS_SECRET_ACCESS_KEY": bucket.server.secret_key,
    }
    location = parse_location(f"s3://{bucket.name}/contested")
    bucket.delete("contested")

    def open_for(job: str) -> Store:
        # Creating a client takes long: the writers inherit one without connections. The reader has its own.
        host = "localhost" if job == READER else bucket.server.host
        storage = Storage(endpoint=f"http://{host}:{bucket.server.port}")
        return Stores(environment=keys, job=job).open(location, storage, Role.OUTPUT, "spec.output.destination")

    s3_store._client.cache_clear()
    assert cast(s3_store.S3Store, open_for("u-1"))._client
    yield Destination(open_for)
    s3_store._client.cache_clear()


def test_two_writers_at_one_prefix(
    bucket: Bucket, large: list[Artifact], s3_destination: Destination, tmp_path: Path
) -> None:
    ends = fight(s3_destination, large, tmp_path, ROUNDS)
    assert any(-signal.SIGKILL in end for end in ends), f"seed {SEED}: no process was killed in time"
    # A last publication of each job removes the temporary files of the killed ones.
    for index, job in enumerate(("u-1", "u-2")):
        pod = FORK.Process(target=publish, args=(s3_destination, job, large[index], tmp_path / job))
        pod.start()
        pod.join(30)
        assert pod.exitcode == 0
    assert bucket.keys("contested.writer") == []
    # A writer that was killed between the creation of an upload and its record has sent no part of it.
    left = bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads") or ()
    for upload in left:
        about = {"Bucket": bucket.name, "Key": upload["Key"], "UploadId": upload["UploadId"]}
        assert not upload["Key"].startswith("contested") or not bucket.client.list_parts(**about).get("Parts"), upload


@pytest.mark.parametrize("locks", [True, False])
def test_two_writers_at_one_directory(
    small: list[Artifact], tmp_path: Path, locks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    if not locks:
        monkeypatch.setattr(fcntl, "flock", flock)
    place = tmp_path / "volume" / "out"
    location = parse_location(f"file://{place}")
    destination = Destination(lambda job: Stores(job=job).open(location, None, Role.OUTPUT, "spec.output.destination"))
    fight(destination, small, tmp_path, ROUNDS // 2)
    # The reader is no job; each job's own publication removes what its killed pods have left.
    for index, job in enumerate(("u-1", "u-2")):
        pod = FORK.Process(target=publish, args=(destination, job, small[index], tmp_path / job))
        pod.start()
        pod.join(30)
    assert [name.name for name in place.parent.iterdir()] == ["out"]
