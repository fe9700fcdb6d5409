"""The table of results in the docs matches the results file."""

import json
from pathlib import Path
from typing import Any

from benchmarks import local_run, pack
from benchmarks.checkpoints import table as checkpoints
from benchmarks.local_run.table import write_table
from benchmarks.methods import pods
from benchmarks.methods.cases import CASES
from benchmarks.methods.staleness import current
from benchmarks.methods.store import Results
from benchmarks.methods.table import TABLE, render
from benchmarks.pack.table import END, START, tables
from benchmarks.peers import table as peers
from benchmarks.teacher import __main__ as teacher
from compressionjob.spec import parse_job

RESULTS = Path(__file__).parents[3] / "benchmarks" / "methods" / "results.json"


def test_the_table_is_made_from_the_results() -> None:
    results, in_pods = json.loads(RESULTS.read_text()), json.loads(pods.RESULTS.read_text())
    assert TABLE.read_text() == render(results, in_pods, current()), "run: python -m benchmarks.methods --table"


def test_every_example_has_a_result() -> None:
    """Run a new example before you commit it: python -m benchmarks.methods NAME."""
    examples = {case.name for case in CASES}
    assert set(json.loads(RESULTS.read_text())) == examples
    assert set(json.loads(pods.RESULTS.read_text())) <= examples


def test_a_result_has_the_pipeline_of_its_example() -> None:
    """Run a changed example again: python -m benchmarks.methods NAME."""
    results = json.loads(RESULTS.read_text())
    stale = [case.name for case in CASES if not same(case.manifest["spec"]["pipeline"], results[case.name]["pipeline"])]
    assert stale == []


def same(requested: Any, ran: Any) -> bool:
    """Return whether the run has all requested parameters; it also has the defaults."""
    if isinstance(requested, dict):
        return all(key in ran and same(value, ran[key]) for key, value in requested.items())
    if isinstance(requested, list):
        return len(requested) == len(ran) and all(same(*pair) for pair in zip(requested, ran, strict=True))
    return str(requested) == str(ran)


def test_the_tables_of_packing_are_made_from_its_results() -> None:
    here = Path(pack.__file__).parent
    results = json.loads((here / "results.json").read_text())
    for page in (here / "README.md", TABLE.with_name("pack.md")):
        assert f"{START}\n{tables(results, current())}\n{END}" in page.read_text(), "run: python -m benchmarks.pack"


def test_the_table_of_the_local_run_is_made_from_its_results(tmp_path: Path) -> None:
    here = Path(local_run.__file__).parent
    page = (here / "README.md").read_text()
    copy = tmp_path / "README.md"
    copy.write_text(page)
    write_table(copy, json.loads((here / "results.json").read_text()), current())
    assert copy.read_text() == page, "run: python -m benchmarks.local_run"


def test_the_table_of_teachers_is_made_from_its_results() -> None:
    results = json.loads((teacher.HERE / "results.json").read_text())
    assert (teacher.HERE / "README.md").read_text() == teacher.render(results, current()), (
        "run: python -m benchmarks.teacher"
    )


def test_earlier_runs_are_identified_by_their_fingerprint(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json")
    results.put("one", "abc", {"verdict": "Pass"})
    again = Results(tmp_path / "results.json")
    assert again.has("one", "abc")
    assert not again.has("one", "abd")
    assert not again.has("two", "abc")


def test_every_example_names_the_samples_that_it_needs() -> None:
    from samples.__main__ import SAMPLES

    needed = {name for case in CASES for name in case.samples}
    assert needed <= set(SAMPLES), f"no sample is called {sorted(needed - set(SAMPLES))}"


def test_the_table_of_other_tools_is_made_from_its_results() -> None:
    results = json.loads(peers.RESULTS.read_text())
    assert peers.README.read_text() == peers.render(results, current()), "run: python -m benchmarks.peers"
    assert {"compression-runner", "onnxruntime", "Neural Compressor", "Olive"} == {
        name for rows in results["subjects"].values() for name in rows
    }


def test_the_table_of_checkpoints_is_made_from_its_results() -> None:
    results, page = json.loads(checkpoints.RESULTS.read_text()), checkpoints.README.read_text()
    written = checkpoints.table(results, current())
    assert f"{checkpoints.START}\n{written}\n{checkpoints.END}" in page, "run: python -m benchmarks.checkpoints"


def test_every_example_becomes_a_job_of_the_cluster() -> None:
    for case in CASES:
        job = parse_job(pods.manifest(case.manifest))
        assert all(location.startswith("s3://examples/") for _, location in job.spec.sources()), case.name
        assert job.spec.runtime == pods.RUNTIME
