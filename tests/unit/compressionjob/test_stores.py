"""Access of jobs to CompressionStores."""

from typing import Any

import pytest

from compressionjob.errors import InvalidSpec
from compressionjob.locations import parse_location
from compressionjob.spec import parse_job
from compressionjob.store_access import contains, deciding_prefix, named_stores, no_such_store, store_problems
from compressionjob.stores import CompressionStoreSpec, StoreConnection, parse_prefix, parse_store
from tests.support.manifests import REMOVE, job, set_field

OWN: list[dict[str, str]] = [
    {"prefix": "s3://models/team-a/", "access": "ReadWrite"},
    {"prefix": "s3://models/shared/"},
    {"prefix": "s3://models/team-a/golden", "access": "ReadOnly"},
    {"prefix": "s3://data"},
    {"prefix": "pvc://scratch/team-a", "access": "ReadWrite"},
    {"prefix": "pvc://corpora/"},
]


def store(locations: list[dict[str, str]] | None = None, **fields: Any) -> CompressionStoreSpec:
    manifest = {"metadata": {"name": "team-a"}, "spec": {"locations": OWN if locations is None else locations} | fields}
    return parse_store(manifest).spec


def in_store(**changes: Any) -> dict[str, Any]:
    """Return a job that its store allows, with changes."""
    allowed: dict[str, Any] = {
        "spec__storage": {"store": "team-a"},
        "spec__model__source": "s3://models/shared/minilm",
        "spec__output__destination": "s3://models/team-a/minilm-int8",
    }
    return job(**(allowed | changes))


def problems(
    manifest: dict[str, Any], *, begun: bool = False, **stores: CompressionStoreSpec | None
) -> list[tuple[str, str]]:
    known = {name.replace("_", "-"): spec for name, spec in stores.items()}
    refused = store_problems(parse_job(manifest).spec, known, begun=begun)
    return [(item.reason, str(item.problem)) for item in refused]


def test_without_stores_a_job_names_its_own_secret_and_endpoint() -> None:
    assert problems(job()) == []
    assert problems(job(spec__output__destination="pvc://scratch/out", spec__hub={"secretName": "hub"})) == []


def test_locations_that_the_store_allows_are_accepted() -> None:
    assert problems(in_store(), team_a=store()) == []
    claims = {"spec__model__source": "pvc://corpora", "spec__output__destination": "pvc://scratch/team-a/out"}
    assert problems(in_store(**claims), team_a=store()) == []


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"spec__storage": {"secretName": "s3"}}, ["spec.storage.secretName"]),
        ({"spec__storage": {"endpoint": "http://evil"}}, ["spec.storage.endpoint"]),
        ({"spec__storage": {"region": "eu-central-1"}}, ["spec.storage.region"]),
        ({"spec__model__storage": {"secretName": "s3"}}, ["spec.model.storage.secretName"]),
        ({"spec__data__evaluation__storage": {"endpoint": "http://evil"}}, ["spec.data.evaluation.storage.endpoint"]),
        ({"spec__output__storage": {"endpoint": "http://evil"}}, ["spec.output.storage.endpoint"]),
        ({"spec__hub": {"secretName": "hub", "endpoint": "http://evil"}}, ["spec.hub.secretName", "spec.hub.endpoint"]),
        # Ambient identity and claims need a store too.
        ({"spec__storage": REMOVE}, ["spec.storage.store"]),
        ({"spec__output__storage": {}}, ["spec.output.storage.store"]),
        ({"spec__storage": REMOVE, "spec__model__source": "pvc://other/a"}, ["spec.storage.store"]),
    ],
)
def test_with_a_store_a_job_names_no_secret_endpoint_or_claim(changes: dict[str, Any], fields: list[str]) -> None:
    manifest = in_store()
    for path, value in changes.items():
        manifest = with_change(manifest, path, value)
    reported = problems(manifest, team_a=store(), shared=store([]))
    required = [said for reason, said in reported if reason == "StoreRequired"]
    assert [said.split(":")[0].removesuffix(" is missing") for said in required] == fields
    assert all("shared, team-a" in said for said in required)
    assert not [said for said in required if len(said) > 250]
    assert [it for it in problems(manifest, begun=True, team_a=store()) if it[0] == "StoreRequired"] == []


def with_change(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    set_field(manifest, path.replace("__", "."), value)
    return manifest


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("spec.model.source", "s3://models/team-b/minilm", "does not allow it; it allows reading s3://models/team-a/"),
        ("spec.model.source", "s3://models/team-ab/minilm", "does not allow it"),
        ("spec.model.source", "s3://models/team", "does not allow it"),
        ("spec.model.source", "s3://others/team-a/minilm", "does not allow it"),
        ("spec.model.source", "pvc://secrets/minilm", "does not allow it"),
        ("spec.data.evaluation.source", "s3://other-data/a.parquet", "does not allow it"),
        ("spec.data.evaluation.source", "pvc://scratch/team-b/a.parquet", "does not allow it"),
        (
            "spec.output.destination",
            "s3://models/shared/out",
            "only reading there; it allows writing to s3://models",
        ),
        ("spec.output.destination", "s3://models/team-a/golden/minilm", "only reading there"),
        ("spec.output.destination", "pvc://corpora/out", "only reading there"),
        ("spec.output.destination", "s3://models/team-a", "name a folder below s3://models/team-a/"),
        (
            "spec.output.reports",
            "s3://models/team-b/reports",
            "it allows writing to s3://models/team-a/, pvc://scratch",
        ),
        ("spec.output.checkpoints", "s3://data/checkpoints", "only reading there"),
    ],
)
def test_other_locations_are_refused_with_those_that_are_allowed(field: str, value: str, says: str) -> None:
    manifest = with_change(in_store(), field, value)
    if field == "spec.output.destination":
        manifest["spec"]["output"] |= {"reports": "s3://models/team-a/r", "checkpoints": "s3://models/team-a/c"}
    ((reason, said),) = problems(manifest, team_a=store())
    assert reason == "LocationNotAllowed"
    assert said.startswith(f"{field}: {value!r} is not valid: ")
    assert says in said


def test_a_destination_must_not_contain_a_read_only_folder() -> None:
    locations = [{"prefix": "s3://models/", "access": "ReadWrite"}, {"prefix": "s3://models/a/golden/"}]
    reported = problems(in_store(spec__output__destination="s3://models/a"), team_a=store([*locations, OWN[3]]))
    assert [said.partition("is not valid: ")[2] for _, said in reported] == [
        "the CompressionStore 'team-a' allows only reading in s3://models/a/golden/; write elsewhere"
    ]


def test_models_of_methods_are_checked() -> None:
    pipeline = [{"distill": {"teacherSource": "s3://models/team-b/teacher"}}]
    training = {"source": "s3://data/train.parquet"}
    reported = problems(in_store(spec__pipeline=pipeline, spec__data__training=training), team_a=store())
    assert [said.split(": ")[0] for _, said in reported] == ["spec.pipeline[0].distill.teacherSource"]


def test_a_missing_store_is_named_with_those_that_exist() -> None:
    assert problems(in_store(), team_b=store()) == [
        (
            "StoreNotFound",
            "spec.storage.store: there is no CompressionStore 'team-a' in this namespace; there are: team-b; "
            "did you mean 'team-b'?",
        )
    ]
    assert "there is none yet" in no_such_store("team-a", ())
    assert [reason for reason, _ in problems(in_store(), team_a=None)] == ["InvalidStore"]


def test_permanent_problems_come_before_temporary_ones() -> None:
    manifest = in_store(spec__output__destination="s3://elsewhere/out", spec__hub={"store": "hub"})
    reasons = [reason for reason, _ in problems(manifest, team_a=store())]
    assert reasons == ["LocationNotAllowed"] * 3 + ["StoreNotFound"]


def test_the_hub_needs_a_store_with_a_hub() -> None:
    manifest = in_store(spec__hub={"store": "team-a"}, spec__model__source="hf://acme/model")
    assert problems(manifest, team_a=store(hub={"secretName": "hub"})) == []
    ((reason, said),) = problems(manifest, team_a=store())
    assert (reason, "has no hub" in said) == ("LocationNotAllowed", True)
    # Public repositories need no token, and so no store.
    assert problems(in_store(spec__model__source="hf://acme/model"), team_a=store()) == []


def test_a_store_excludes_secret_endpoint_and_region() -> None:
    for part in ({"secretName": "s3"}, {"endpoint": "http://a"}, {"region": "x"}):
        with pytest.raises(
            InvalidSpec, match=r"spec.storage: the store has these settings: remove secretName, endpoint"
        ):
            parse_job(job(spec__storage={"store": "team-a", **part}))
    with pytest.raises(InvalidSpec, match=r"spec.hub: the store has these settings: remove secretName and endpoint"):
        parse_job(job(spec__hub={"store": "team-a", "secretName": "hub"}))


def test_all_stores_of_a_job_are_known() -> None:
    manifest = in_store(
        spec__hub={"store": "hub"},
        spec__model__storage={"store": "models"},
        spec__data__evaluation__storage={"store": "data"},
        spec__output__storage={"store": "results"},
    )
    assert named_stores(parse_job(manifest).spec) == {
        "spec.storage.store": "team-a",
        "spec.model.storage.store": "models",
        "spec.data.evaluation.storage.store": "data",
        "spec.output.storage.store": "results",
        "spec.hub.store": "hub",
    }


@pytest.mark.parametrize(
    ("prefix", "location", "inside"),
    [
        ("s3://a-bucket/", "s3://a-bucket/x", True),
        ("s3://a-bucket", "s3://a-bucket/x/y", True),
        ("s3://a-bucket/x", "s3://a-bucket/x", True),
        ("s3://a-bucket/x/", "s3://a-bucket/xy", False),
        ("s3://a-bucket/x/y", "s3://a-bucket/x", False),
        ("s3://a-bucket/x", "pvc://a-bucket/x", False),
        ("s3://a-bucket/x", "s3://a-bucket2/x", False),
        ("pvc://claim", "pvc://claim", True),
        ("pvc://claim/x", "pvc://claim", False),
    ],
)
def test_names_are_compared_whole(prefix: str, location: str, inside: bool) -> None:
    assert contains(parse_prefix(prefix), parse_location(location)) is inside


def test_the_longest_prefix_decides_and_of_equal_ones_the_stricter() -> None:
    twice = store([{"prefix": "s3://models/x", "access": "ReadWrite"}, {"prefix": "s3://models/x/"}])
    decides = deciding_prefix(parse_location("s3://models/x/y"), twice.locations)
    assert decides is not None
    assert decides.access == "ReadOnly"
    nested = store([{"prefix": "s3://models/x"}, {"prefix": "s3://models/x/out", "access": "ReadWrite"}])
    writable = deciding_prefix(parse_location("s3://models/x/out/y"), nested.locations)
    assert writable is not None
    assert writable.prefix == "s3://models/x/out"


@pytest.mark.parametrize(
    "prefix",
    ["s3://B/x", "s3://", "models/x", "s3://models/../x", "s3://models/./x", "s3://models//x", "file:///x", "s3://m x"],
)
def test_an_invalid_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidSpec, match=r"spec.locations\[0\].prefix: .* write s3://BUCKET/PREFIX/"):
        store([{"prefix": prefix}])


def test_a_store_has_no_path_in_its_endpoint() -> None:
    with pytest.raises(InvalidSpec, match=r"spec\.endpoint.*an object store has no path"):
        store(endpoint="https://s3.example.com/production")
    assert store(hub={"endpoint": "https://mirror.example.com/api/huggingface"}).hub is not None


def test_a_job_that_began_keeps_an_endpoint_that_a_later_version_refuses() -> None:
    connection = StoreConnection(name="team-a", endpoint="https://s3.example.com/production")
    assert connection.storage.endpoint == "https://s3.example.com/production"
