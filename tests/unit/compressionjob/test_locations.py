"""Parsing of locations, and refused locations."""

import pytest
from pydantic import ValidationError

from compressionjob.locations import Hub, Location, Storage, parse_location


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("s3://models/minilm/", Location("s3", "models", "minilm")),
        ("s3://models/a/b.onnx", Location("s3", "models", "a/b.onnx")),
        ("pvc://claim", Location("pvc", "claim", "")),
        ("pvc://claim/a/b", Location("pvc", "claim", "a/b")),
        ("file:///data/model", Location("file", "", "/data/model")),
        ("file://./model", Location("file", "", "./model")),
        ("file://../shared/model", Location("file", "", "../shared/model")),
        ("file://model", Location("file", "", "model")),
        ("hf://acme/model", Location("hf", "acme/model", "")),
        ("hf://acme/model@v1.0/onnx/model.onnx", Location("hf", "acme/model@v1.0", "onnx/model.onnx")),
        ("hf://acme/model@refs/pr/1/a.onnx", Location("hf", "acme/model@refs/pr/1", "a.onnx")),
        ("hf://datasets/acme/data/test.parquet", Location("hf", "datasets/acme/data", "test.parquet")),
    ],
)
def test_parse(text: str, location: Location) -> None:
    assert parse_location(text) == location
    assert parse_location(str(location)) == location


@pytest.mark.parametrize(
    "text",
    [
        "", "model", "/model", "s3://", "s3://bucket", "s3:///key", "s3://b/..", "s3://b/a/../c", "s3://b//c",
        "pvc://claim/../other", "pvc://Claim/a", "pvc://claim/./a", "file:///a/../../etc", "file:///", "file://a/..",
        "http://a/b", "s3://a b/c", "s3://bucket/a b", "s3://bucket/a\nb", "S3://bucket/key", "hf://model", "hf://acme/../x",
        "hf://acme/model/../x", "hf://datasets/acme", "hf://acme/mo del", "hf://acme/model@", "hf://spaces/a/b",
        "hf://acme/model@..", "hf://acme/model@../x", "hf://acme/a--b", "hf://acme/a.git", "hf://acme/a.", "hf://acme/a..b",
    ],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match="s3://BUCKET/KEY"):
        parse_location(text)


def test_children_and_siblings() -> None:
    location = parse_location("s3://models/out")
    assert str(location.child("a", "b.json")) == "s3://models/out/a/b.json"
    assert str(location.sibling("-report")) == "s3://models/out-report"
    assert str(parse_location("pvc://claim").child("a")) == "pvc://claim/a"


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://[x", "http://s3:99999", "http://:9000", "http://[fd00::7]evil.example", "http://[fd00::7].evil.example:80",
        "http://[::1]]", "http://a:b:c",
    ],
)  # fmt: skip
def test_an_endpoint_that_does_not_parse_is_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="write the URL of a server"):
        Storage(endpoint=endpoint)


def test_an_object_store_has_no_path() -> None:
    """Below a path the bucket is the path's, and rules about buckets say nothing about it."""
    with pytest.raises(ValidationError, match="end its endpoint after host and port"):
        Storage(endpoint="https://s3.example.com/production")
    assert Storage(endpoint="https://s3.example.com/").endpoint == "https://s3.example.com/"
    assert Hub(endpoint="https://mirror.example.com/api/huggingface").endpoint is not None
