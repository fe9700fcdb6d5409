"""Every invalid manifest of the table is refused in Python, with field, value and remedy."""

from typing import Any

import pytest

from compressionjob.errors import InvalidSpec
from compressionjob.spec import parse_job
from tests.support.manifests import invalid_jobs, job

# Only these are valid outside a cluster: numbers for decimals, file:// sources, and what depends on the runtime.
VALID_LOCALLY = {
    "sparsity as a number",
    "relative file",
    "host path as file",
    "host path as output",
    "gpu engine on a runtime without one",
}

CASES = invalid_jobs()


def test_the_table_is_large_and_its_names_differ() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) >= 40
    assert len(set(names)) == len(names)


def test_the_job_that_the_table_changes_is_valid() -> None:
    assert parse_job(job()).spec.pipeline[1].method == "quantize"


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_is_refused(case: dict[str, Any]) -> None:
    if case["name"] in VALID_LOCALLY:
        parse_job(case["manifest"])
        return
    with pytest.raises(InvalidSpec) as caught:
        parse_job(case["manifest"])
    fields = [problem.field for problem in caught.value.problems]
    assert any(case["field"] in field or field in case["field"] for field in fields), fields
    assert all(problem.remedy for problem in caught.value.problems)
    if case["refusedBy"] == "operator" or "serverSays" in case:
        assert case["says"] in str(caught.value)


def test_not_a_mapping() -> None:
    with pytest.raises(InvalidSpec, match=r"apiVersion: compression-operator\.io/v1alpha1"):
        parse_job(["a"])
