"""A pod reads its job from the operator's file, or from the variables of an older operator."""

import json
from pathlib import Path
from typing import Any

import pytest

from compression_runner.commands.pod_input import PodInput
from compressionjob.errors import InvalidSpec
from compressionjob.pod_input import digest_of, encode
from tests.support.manifests import job

REVIEW = {"reviewer": "rita", "decision": "Approve", "reason": "$(HOME) $$", "time": "2026-11-25T10:00:00Z"}
JUDGED = {"digest": "sha256:" + "a" * 64, "checkpoint": "b" * 64, "reportDigest": "sha256:" + "c" * 64}


def given(folder: Path, documents: dict[str, Any], **changes: str) -> dict[str, str]:
    text = encode(documents)
    (folder / "input").write_bytes(text.encode())
    return {"COMPRESSION_INPUT": str(folder / "input"), "COMPRESSION_INPUT_DIGEST": digest_of(text)} | changes


def test_the_file_takes_precedence_over_variables(tmp_path: Path) -> None:
    names = ["$(HOME)", "$$", *(f"größe-{number}" * 10 for number in range(998))]
    manifest = job(spec__data__evaluation__columns={"features": names})
    environment = given(tmp_path, {"job": manifest, "review": REVIEW, "judged": JUDGED})
    read = PodInput.read(environment | {"COMPRESSION_JOB": json.dumps(job("other"))})
    assert read.job().metadata.name == "minilm-int8"
    assert read.job().spec.data.evaluation.columns.features == names
    assert read.review().reason == "$(HOME) $$"
    assert read.judged().digest == JUDGED["digest"]


def test_variables_of_an_older_operator_are_read() -> None:
    environment = {
        "COMPRESSION_JOB": json.dumps(job()),
        "COMPRESSION_REVIEW": json.dumps(REVIEW),
        "COMPRESSION_JUDGED": json.dumps(JUDGED),
    }
    read = PodInput.read(environment)
    assert read.job().metadata.name == "minilm-int8"
    assert (read.review().reviewer, read.judged().report_digest) == ("rita", JUDGED["reportDigest"])


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    environment = given(tmp_path, {"job": job()})
    changed = given(tmp_path, {"job": job(spec__output__destination="s3://elsewhere/model")})
    assert PodInput.read(changed).job()
    with pytest.raises(InvalidSpec, match="is not what the operator wrote") as caught:
        PodInput.read(environment)
    assert caught.value.problems[0].field == "COMPRESSION_INPUT"


@pytest.mark.parametrize(
    ("text", "says"),
    [(b"\xff", "cannot be read"), (b"gzip:abc", "an image of the operator's version"), (None, "cannot be read")],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, text: bytes | None, says: str) -> None:
    place = tmp_path / "input"
    if text is not None:
        place.write_bytes(text)
    digest = digest_of((text or b"").decode(errors="replace"))
    with pytest.raises(InvalidSpec, match=says):
        PodInput.read({"COMPRESSION_INPUT": str(place), "COMPRESSION_INPUT_DIGEST": digest})


@pytest.mark.parametrize("from_file", [True, False])
def test_missing_documents_are_named_with_their_file(tmp_path: Path, from_file: bool) -> None:
    read = PodInput.read(given(tmp_path, {"job": job()}) if from_file else {"COMPRESSION_JOB": json.dumps(job())})
    for look, name, variable in (
        (read.review, "review", "COMPRESSION_REVIEW"), (read.judged, "judged", "COMPRESSION_JUDGED"),
    ):  # fmt: skip
        with pytest.raises(InvalidSpec) as caught:
            look()
        expected = f"{name} in {tmp_path / 'input'}" if from_file else variable
        assert caught.value.problems[0].field == expected


def test_a_pod_without_any_job_says_so() -> None:
    with pytest.raises(InvalidSpec, match="write a mapping"):
        PodInput.read({}).job()
