"""Broken sources and stores: each a clear reason in status, and nothing half-published."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from demo.installation import upload
from tests.e2e.harness import Job, Namespace
from tests.e2e.jobs import BUCKET, objects, tiny_job
from tests.support import tiny_models

Submit = Callable[[dict[str, Any]], Job]

CASES = {
    "wrong-key": ("InvalidInput", "spec.model.source"),
    "no-model": ("InvalidInput", "spec.model.source"),
    "truncated": ("InvalidInput", "model.safetensors"),
    "changed": ("InvalidInput", "model.safetensors"),
    "pickle": ("InvalidInput", "safetensors"),
    "no-server": ("StorageUnavailable", "127.0.0.1:1"),
}


@pytest.fixture(scope="module")
def broken(store: Any, namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Models that are broken in one way each, and a Secret with a wrong key."""
    folder = tmp_path_factory.mktemp("broken")
    for name in ("truncated", "changed", "pickle"):
        tiny_models.bert(folder / name)
    weights = folder / "truncated" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    (folder / "changed" / "SHA256SUMS").write_text(f"{'0' * 64}  model.safetensors\n")
    (folder / "pickle" / "model.safetensors").rename(folder / "pickle" / "pytorch_model.bin")
    for name in ("truncated", "changed", "pickle"):
        upload(store, folder / name, BUCKET, f"broken/{name}")
    secret = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wrong"},
        "stringData": {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"},
    }  # fmt: skip
    namespace.apply(secret)


def manifest(name: str) -> dict[str, Any]:
    job = tiny_job(f"broken-{name}", spec__retries=0)
    if name == "wrong-key":
        job["spec"]["storage"]["secretName"] = "wrong"
    elif name == "no-server":
        job["spec"]["storage"]["endpoint"] = "http://127.0.0.1:1"
    else:
        job["spec"]["model"]["source"] = f"s3://{BUCKET}/broken/{name}"
    return job


def test_each_has_its_reason(broken: None, submit: Submit, store: Any) -> None:
    jobs = {name: submit(manifest(name)) for name in CASES}
    for name, (reason, says) in CASES.items():
        jobs[name].wait_phase("Failed", seconds=300)
        failed = jobs[name].condition("Failed")
        assert failed["reason"] == reason, (name, json.dumps(failed))
        assert says in failed["message"], (name, failed["message"])
        assert objects(store, f"results/broken-{name}/") == set()


def test_a_missing_secret_is_said_in_the_kubelets_words(submit: Submit) -> None:
    job = submit(tiny_job("no-secret", spec__storage={"secretName": "absent", "endpoint": "http://10.244.0.1:7070"}))
    # A busy kubelet first says that its cache of Secrets is not there yet; what it says later must replace that.
    job.wait_condition("Scheduled", "True", "ContainerConfigError", says='secret "absent" not found')
    assert job.status["phase"] == "Pending"
