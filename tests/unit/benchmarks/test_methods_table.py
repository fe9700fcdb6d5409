"""The table of results in the docs says what the results file says."""

import json
from pathlib import Path

from benchmarks.methods import pods
from benchmarks.methods.cases import CASES
from benchmarks.methods.store import Results
from benchmarks.methods.table import TABLE, render
from benchmarks.peers import table as peers
from compressionjob.spec import parse_job

RESULTS = Path(__file__).parents[3] / "benchmarks" / "methods" / "results.json"


def test_the_table_is_made_from_the_results() -> None:
    assert TABLE.read_text() == render(json.loads(RESULTS.read_text())), "run: python -m benchmarks.methods --table"


def test_results_are_of_examples_that_there_are() -> None:
    assert set(json.loads(RESULTS.read_text())) <= {case.name for case in CASES}


def test_what_was_run_before_is_known_by_its_fingerprint(tmp_path: Path) -> None:
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
    assert peers.README.read_text() == peers.render(results), "run: python -m benchmarks.peers"
    assert {"compression-runner", "onnxruntime", "Neural Compressor", "Olive"} == {
        name for rows in results["subjects"].values() for name in rows
    }


def test_every_example_becomes_a_job_of_the_cluster() -> None:
    for case in CASES:
        job = parse_job(pods.manifest(case.manifest))
        assert all(location.startswith("s3://examples/") for _, location in job.spec.sources()), case.name
        assert job.spec.runtime == pods.RUNTIME
