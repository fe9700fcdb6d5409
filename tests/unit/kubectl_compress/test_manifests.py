"""Reading CompressionJobs from files."""

import io
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_compress.errors import Invalid
from kubectl_compress.manifests import read
from tests.support.manifests import incompressible_names, job


def written(folder: Path, *documents: Any, name: str = "jobs.yaml") -> str:
    place = folder / name
    place.write_text(yaml.safe_dump_all(documents))
    return str(place)


def test_every_job_of_every_document_is_read_and_the_rest_is_named(tmp_path: Path) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}}
    listed = {"apiVersion": "v1", "kind": "List", "items": [job("b"), job("c")]}
    place = written(tmp_path, job("a"), secret, None, listed)
    manifests = read([place, written(tmp_path, job("d"), name="d.yaml")])
    assert [manifest.name for manifest in manifests.jobs] == ["a", "b", "c", "d"]
    assert manifests.others == [f"Secret/s3 in {place}, document 2"]
    assert not manifests.problems


def test_a_name_that_the_server_makes_is_valid(tmp_path: Path) -> None:
    manifest = job()
    manifest["metadata"] = {"generateName": "minilm-"}
    manifests = read([written(tmp_path, manifest)])
    assert [item.raw["metadata"] for item in manifests.jobs] == [{"generateName": "minilm-"}]
    assert manifests.jobs[0].renamed("x").raw["metadata"] == {"name": "x"}


def test_every_problem_of_every_job_is_said_with_field_value_and_remedy(tmp_path: Path) -> None:
    bad = job("bad", spec__retries=99, spec__sla__latency__max="20")
    place = written(tmp_path, job("good"), bad, "text")
    manifests = read([place])
    assert [problem.problem for problem in manifests.problems] == [
        f"{place}, document 2: bad is not a valid CompressionJob",
        f"{place}, document 3 is not a valid CompressionJob",
    ]
    fields = {problem.field: (problem.value, problem.remedy) for problem in manifests.problems[0].problems}
    assert fields["spec.retries"][0] == "99"
    assert "must be a duration" in fields["spec.sla.latency.max"][1]


def test_wrong_quoting_is_reported(tmp_path: Path) -> None:
    bad = job("bad", spec__retries="3", spec__sla__quality__maxDrop=0.01, spec__suspend="true", spec__budget=5)
    manifests = read([written(tmp_path, bad)])
    assert [(problem.field, problem.remedy) for problem in manifests.problems[0].problems] == [
        ("spec.suspend", "must be true or false, without quotes"),
        ("spec.retries", 'write 3 without quotes: "3" is text'),
        (
            "spec.sla.quality.maxDrop",
            'write 0.01 in quotes, "0.01": the API server accepts no number with a decimal point here',
        ),
    ]


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(job("a"))))
    manifests = read(["-"])
    assert [manifest.origin for manifest in manifests.jobs] == ["standard input: a"]


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file"), ("a: [", "cannot be read"), ("\xff", "UTF-8"), ("a: [", r"line 1, column 5")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: str | None, says: str) -> None:
    place = tmp_path / "job.yaml"
    if content is not None:
        place.write_bytes(content.encode("latin-1"))
    with pytest.raises(Invalid, match=says) as raised:
        read([str(place)])
    assert str(place) in raised.value.problem


def test_a_folder_is_refused_with_the_pattern_to_write(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="is a folder") as raised:
        read([str(tmp_path)])
    assert f"{tmp_path}/*.yaml" in raised.value.remedy


def test_a_job_too_large_for_its_pod_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    large = job(spec__data__evaluation__columns={"features": incompressible_names()})
    (problem,) = read([written(tmp_path, large)]).problems
    assert [item.field for item in problem.problems] == ["spec.data.evaluation.columns.features"]
    assert "at most 200Ki are allowed" in problem.problems[0].remedy
