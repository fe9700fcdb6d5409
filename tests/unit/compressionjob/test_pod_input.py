"""A pod reads the same documents that the operator writes."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compressionjob.pod_input import MAX_INPUT_BYTES, MAX_PLAIN_BYTES, decode, digest_of, encode, size_problems
from tests.support.manifests import incompressible_names, job

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON))
@example({"job": {"a": "$(HOME) $$ ${X} `id` \x00\x1b[2J\u202e\u2028 ü 漢 😀"}})
def test_documents_survive_the_round_trip(documents: dict[str, object]) -> None:
    assert decode(encode(documents)) == documents


def test_a_long_input_is_compressed_and_a_short_one_is_readable() -> None:
    short, long = {"job": {"name": "größe"}}, {"job": {"names": ["größe"] * MAX_PLAIN_BYTES}}
    assert json.loads(encode(short)) == short
    assert "größe" in encode(short)
    assert len(encode(long)) < MAX_PLAIN_BYTES
    assert decode(encode(long)) == long


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "zlib+base64:", "zlib+base64:%%", "zlib+base64:AAAA"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text)


def test_the_digest_is_of_every_character() -> None:
    assert digest_of("a") == "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert digest_of("ü") != digest_of("u")


def test_a_thousand_names_in_any_script_fit() -> None:
    names = [f"特徴量{number:04}" * 12 for number in range(1000)]
    assert size_problems(job(spec__data__evaluation__columns={"features": names})) == []


def test_a_job_that_is_too_large_names_its_largest_field_its_size_and_the_limit() -> None:
    names = incompressible_names()
    manifest = job(spec__data__training={"source": "s3://data/train.parquet", "columns": {"features": names}})
    assert len(encode({"job": manifest}).encode()) > MAX_INPUT_BYTES
    (problem,) = size_problems(manifest)
    assert problem.field == "spec.data.training.columns.features"
    assert "at most 200Ki are allowed" in problem.remedy
    assert len(str(problem)) <= 200
    in_a_stage = job(spec__pipeline=[{"pack": {}}, {"prune": {"exclude": names}}])
    assert [problem.field for problem in size_problems(in_a_stage)] == ["spec.pipeline[1].prune.exclude"]
