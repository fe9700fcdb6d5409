"""A pod reads and writes by its stores, and sends tokens and keys only to their own endpoints."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runner.conftest import Bucket, Ended, environment, run_new_pod, run_pod, text_manifest
from tests.support import tiny_models
from tests.support.hub_server import Hub, serving

TOKEN = "hf_token_of_the_namespace"
MODEL = {"source": "hf://acme/tiny", "task": "text-embedding"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A mirror of the Hub with a private model."""
    tiny_models.bert(tmp_path / "hub" / "acme" / "tiny")
    with serving(tmp_path / "hub") as server:
        server.token = TOKEN
        yield server


@pytest.fixture
def evil(tmp_path: Path) -> Iterator[Hub]:
    """The attacker's server, which records every request."""
    (tmp_path / "evil").mkdir()
    with serving(tmp_path / "evil") as server:
        yield server


def refusal(
    bucket: Bucket, job: dict[str, Any], workdir: Path, run: Callable[[Mapping[str, str]], Ended] = run_pod,
    **variables: str,
) -> str:  # fmt: skip
    """Return the pod's message for the status: it ends without a retry."""
    ended = run(environment(bucket.server, job, workdir, **variables))
    assert ended.status == 2, ended.log
    assert ended.summary is not None
    assert ended.summary.error is not None
    assert ended.summary.error.reason == "InvalidInput"
    assert TOKEN not in ended.log
    return ended.summary.error.sentence()


def test_a_job_reads_and_writes_by_the_addresses_of_its_store(bucket: Bucket, hub: Hub, tmp_path: Path) -> None:
    job = text_manifest("unused", model=MODEL, storage={"store": "team-a"}, hub={"store": "team-a"})
    stores = json.dumps([{"name": "team-a", "endpoint": bucket.server.endpoint, "hubEndpoint": hub.url}])
    variables = {"COMPRESSION_STORES": stores, "HUB_HF_TOKEN": TOKEN}
    ended = run_pod(environment(bucket.server, job, tmp_path / "work", **variables))
    assert ended.status == 0, ended.log
    assert ended.summary is not None
    assert ended.summary.published
    assert "artifact.json" in bucket.keys("out")
    # Large files come from another address, which gets no token.
    sent = {token for path, token in zip(hub.requests, hub.tokens, strict=True) if not path.startswith("cdn")}
    assert sent == {f"Bearer {TOKEN}"}


def test_a_token_is_not_sent_to_another_server(bucket: Bucket, evil: Hub, tmp_path: Path) -> None:
    job = text_manifest(bucket.server.endpoint, model=MODEL, hub={"secretName": "hub", "endpoint": evil.url})
    said = refusal(bucket, job, tmp_path / "work", HUB_HF_TOKEN=TOKEN)
    patch = json.dumps({"stringData": {"HF_ENDPOINT": evil.url}}, separators=(",", ":"))
    assert said.endswith(f"kubectl -n default patch secret hub --type=merge --patch='{patch}'")
    assert evil.requests == []


def test_a_token_does_not_follow_a_redirect(bucket: Bucket, hub: Hub, evil: Hub, tmp_path: Path) -> None:
    hub.redirect = evil.url
    job = text_manifest(bucket.server.endpoint, model=MODEL, hub={"secretName": "hub", "endpoint": hub.url})
    said = refusal(bucket, job, tmp_path / "work", HUB_HF_TOKEN=TOKEN, HUB_HF_ENDPOINT=hub.url)
    assert "or it is private" in said
    assert (set(hub.tokens), set(evil.tokens)) == ({f"Bearer {TOKEN}"}, {None})


def test_keys_are_not_sent_to_another_endpoint(bucket: Bucket, evil: Hub, tmp_path: Path) -> None:
    bound = {f"{role}_AWS_ENDPOINT_URL": bucket.server.endpoint for role in ("MODEL", "DATA", "OUTPUT")}
    job = text_manifest(evil.url, storage={"secretName": "s3", "endpoint": evil.url})
    said = refusal(bucket, job, tmp_path / "work", MODEL_AWS_SESSION_TOKEN=TOKEN, **bound)
    assert f"the keys in the Secret 's3' are for {bucket.server.endpoint} only" in said
    assert evil.requests == []


def test_a_model_cannot_read_the_keys_of_the_pod(bucket: Bucket, hub: Hub, tmp_path: Path) -> None:
    settings = tmp_path / "hub" / "acme" / "tiny" / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"vocab": "/proc/self/environ"}))
    access = {"hub": {"secretName": "hub", "endpoint": hub.url}, "output": {"destination": "s3://models/hostile"}}
    job = text_manifest(bucket.server.endpoint, model=MODEL, **access)
    keys = {"HUB_HF_TOKEN": TOKEN, "HUB_HF_ENDPOINT": hub.url}
    assert "its setting vocab names the file /proc/self/environ" in refusal(
        bucket, job, tmp_path / "work", run_new_pod, **keys
    )
    assert bucket.keys("hostile") == []
