"""Keys and tokens are sent only to their own endpoints."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from compression_runner.errors import InvalidInput
from compression_runner.storage import Readable, Stores
from compression_runner.storage.binding import bound_hub, bound_storage
from compressionjob.endpoints import is_aws_s3, same_endpoint
from compressionjob.locations import Hub, Storage, parse_location
from compressionjob.pod_interface import Role
from tests.support.hub_server import Hub as HubServer
from tests.support.hub_server import serving

FIELD = "spec.model.source"
MIRROR = "https://mirror.example.com"
EVIL = "https://evil.example.com"
OWN = {"HUB_HF_TOKEN": "hf_own"}
STORE = {
    "COMPRESSION_STORES": json.dumps([{"name": "team-a", "endpoint": "http://s3:9000", "hubEndpoint": "http://hub"}])
}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    model = tmp_path / "hub" / "acme" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    with serving(tmp_path / "hub") as server:
        server.token = "hf_own"
        yield server


def open_hub(environment: Mapping[str, str], hub: Hub) -> Readable:
    stores = Stores(environment, namespace="team-a")
    return stores.open_source(parse_location("hf://acme/model"), None, hub, Role.MODEL, FIELD)


@pytest.mark.parametrize(
    ("environment", "hub", "token"),
    [
        (OWN, Hub(secret_name="hub"), "hf_own"),
        (OWN, Hub(secret_name="hub", endpoint="https://huggingface.co/"), "hf_own"),
        (OWN | {"HUB_HF_ENDPOINT": MIRROR}, Hub(secret_name="hub", endpoint=f"{MIRROR}:443/"), "hf_own"),
        (OWN | {"HUB_HF_ENDPOINT": "http://hub:8080"}, Hub(secret_name="hub", endpoint="http://hub:8080"), "hf_own"),
        # The runtime's environment is the platform team's.
        (OWN | {"HF_ENDPOINT": MIRROR}, Hub(secret_name="hub"), "hf_own"),
        ({"HF_TOKEN": "ambient"}, Hub(), "ambient"),
        ({"HF_TOKEN": "ambient"}, Hub(endpoint=EVIL), None),
        ({"HF_TOKEN": "ambient"} | OWN, Hub(), "hf_own"),
        ({}, Hub(endpoint=EVIL), None),
    ],
)
def test_a_token_is_sent_to_its_endpoint(environment: dict[str, str], hub: Hub, token: str | None) -> None:
    assert bound_hub(environment, hub, FIELD) == (hub, token)


@pytest.mark.parametrize(
    ("bound", "endpoint"),
    [
        (None, EVIL),
        (None, "http://huggingface.co"),
        (None, "https://huggingface.co:8443"),
        (None, "https://huggingface.co.evil.example.com"),
        (None, "https://huggingface.co/evil"),
        (MIRROR, EVIL),
        (MIRROR, "http://mirror.example.com"),
        (MIRROR, "https://huggingface.co"),
        (MIRROR, None),
        ("https://hub:8080", "http://hub:8080"),
    ],
)
def test_a_token_is_not_sent_to_another_endpoint(bound: str | None, endpoint: str | None) -> None:
    environment = OWN | ({"HUB_HF_ENDPOINT": bound} if bound else {})
    with pytest.raises(InvalidInput) as refused:
        open_hub(environment, Hub(secret_name="hub", endpoint=endpoint))
    error = refused.value
    assert (error.reason, error.field, error.value) == (
        "EndpointNotBound", "spec.hub.endpoint", endpoint or "https://huggingface.co",
    )  # fmt: skip
    patch = json.dumps({"stringData": {"HF_ENDPOINT": error.value}}, separators=(",", ":"))
    assert f"kubectl -n team-a patch secret hub --type=merge --patch='{patch}'" in error.remedy


def test_an_unbound_token_ends_a_job_before_any_request(hub: HubServer) -> None:
    with pytest.raises(InvalidInput, match=r"is for https://huggingface\.co only"):
        open_hub(OWN, Hub(secret_name="hub", endpoint=hub.url))
    assert hub.requests == []


def test_a_token_does_not_follow_a_redirect_to_another_host(hub: HubServer, tmp_path: Path) -> None:
    """The first server answers every request with a redirect to the second one, which has the repository."""
    with serving(tmp_path) as first:
        first.redirect = hub.url
        environment = OWN | {"HUB_HF_ENDPOINT": first.url}
        with pytest.raises(InvalidInput, match="or it is private"):
            open_hub(environment, Hub(secret_name="hub", endpoint=first.url)).list()
    assert set(first.tokens) == {"Bearer hf_own"}
    assert urlsplit(hub.url).port != urlsplit(first.url).port
    assert hub.tokens
    assert set(hub.tokens) == {None}


def test_a_store_binds_its_token_to_an_endpoint(hub: HubServer) -> None:
    stores = json.dumps([{"name": "team-a", "hubEndpoint": hub.url, "hubSecretName": "hub"}])
    source = open_hub(OWN | {"COMPRESSION_STORES": stores}, Hub(store="team-a"))
    assert [entry.path for entry in source.list()] == ["config.json"]
    assert set(hub.tokens) == {"Bearer hf_own"}


KEYS = {"MODEL_AWS_ACCESS_KEY_ID": "id", "MODEL_AWS_SECRET_ACCESS_KEY": "key"}
TOKEN = KEYS | {"MODEL_AWS_SESSION_TOKEN": "t"}


def test_keys_are_sent_to_the_endpoint_of_their_secret() -> None:
    bound = KEYS | {"MODEL_AWS_ENDPOINT_URL": "https://s3.example.com"}
    given = Storage(secret_name="s3", endpoint="https://s3.example.com/")
    assert bound_storage(bound, given, Role.MODEL, FIELD) == given
    for endpoint in ("http://s3.example.com", EVIL, None):
        with pytest.raises(InvalidInput) as refused:
            Stores(bound).open_source(
                parse_location("s3://models/a"), Storage(secret_name="s3", endpoint=endpoint), None, Role.MODEL, FIELD
            )
        assert refused.value.reason == "EndpointNotBound"
        assert "kubectl patch secret s3" in refused.value.remedy
    # As before where the Secret names none.
    unbound = Storage(secret_name="s3", endpoint="http://minio:9000")
    assert bound_storage(KEYS, unbound, Role.MODEL, FIELD) == unbound


def test_a_store_binds_its_keys_to_an_endpoint() -> None:
    assert bound_storage(KEYS | STORE, Storage(store="team-a"), Role.MODEL, FIELD) == Storage(endpoint="http://s3:9000")
    with pytest.raises(InvalidInput, match="write secretName and endpoint instead of store"):
        bound_storage(KEYS, Storage(store="team-a"), Role.MODEL, FIELD)


def test_an_ambient_session_token_is_for_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "key", "SESSION_TOKEN": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    evil = Storage(endpoint="http://127.0.0.1:9")
    location = parse_location("s3://models/a")
    with pytest.raises(InvalidInput, match="which is for AWS only"):
        Stores({}).open_source(location, evil, None, Role.MODEL, FIELD).list()
    named = Stores({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}).open(location, evil, Role.MODEL, FIELD)
    in_store = Stores(STORE).open(location, Storage(store="team-a"), Role.MODEL, FIELD)
    static = Stores(KEYS).open(location, evil, Role.MODEL, FIELD)
    for store in (named, in_store, static):
        assert store._client is not None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("endpoint", "ours"),
    [
        ("https://s3.amazonaws.com", True),
        ("https://s3.eu-central-1.amazonaws.com/", True),
        ("https://s3.dualstack.us-east-1.amazonaws.com", True),
        ("https://bucket.vpce-0a1b-xyz.s3.us-east-1.vpce.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("http://s3.eu-central-1.amazonaws.com", False),
        ("https://s3abc.execute-api.us-east-1.amazonaws.com", False),
        ("https://ec2-1-2-3-4.compute-1.amazonaws.com", False),
        ("https://s3.amazonaws.com.evil.example.com", False),
        ("https://s3.amazonaws.com:8443", False),
    ],
)
def test_aws_endpoints_are_recognized(endpoint: str, ours: bool) -> None:
    assert is_aws_s3(endpoint) is ours


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("https://a", "https://A:443/", True),
        ("http://a:80", "http://a", True),
        ("http://a/x", "http://a/x/", True),
        ("http://a/x", "http://a/y", False),
        ("http://a", "https://a", False),
        ("http://a:99999", "http://a", False),
        ("http://a", "http://a.b", False),
    ],
)
def test_equal_endpoints_are_recognized(first: str, second: str, same: bool) -> None:
    assert same_endpoint(first, second) is same


@pytest.mark.parametrize(
    ("environment", "endpoint", "allowed"),
    [
        (KEYS, "http://minio:9000", True),
        (TOKEN, None, True),
        (TOKEN, "https://s3.eu-central-1.amazonaws.com", True),
        (TOKEN, "http://minio:9000", False),
        (TOKEN | {"MODEL_AWS_ENDPOINT_URL": "http://minio:9000"}, "http://minio:9000", True),
        # An empty address means AWS.
        (KEYS | {"MODEL_AWS_ENDPOINT_URL": ""}, None, True),
        (KEYS | {"MODEL_AWS_ENDPOINT_URL": ""}, EVIL, False),
    ],
)
def test_a_session_token_is_sent_to_aws_or_the_endpoint_of_its_secret(
    environment: dict[str, str], endpoint: str | None, allowed: bool
) -> None:
    storage = Storage(secret_name="s3", endpoint=endpoint)
    if allowed:
        assert bound_storage(environment, storage, Role.MODEL, FIELD) == storage
        return
    with pytest.raises(InvalidInput, match=r"(is|are) for AWS only") as refused:
        bound_storage(environment, storage, Role.MODEL, FIELD)
    assert refused.value.reason == "EndpointNotBound"
