"""A published result is stale if one of its methods or its example has changed, not if only the machine has."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.methods import __main__ as command
from benchmarks.methods import published
from benchmarks.methods.cases import CASES, Case
from benchmarks.methods.published import BENCHMARKS, COMMANDS, StaleResult, records, stale_results, summary
from benchmarks.methods.staleness import MARK, Current, current, made_with, methods_of, note, reasons, stale_rows
from benchmarks.methods.table import render
from compression_runner.methods.registry import METHODS, title_of
from compressionjob.methods.registry import METHODS as STAGES
from compressionjob.pipeline import Stage

RECORD = {
    "examples": {"one": "abc"},
    "methods": {"export": 1, "quantize": 3},
    "libraries": {"onnx": "1.0"},
}
NOW = Current({"export": 1, "quantize": 3, "prune": 7}, {"one": "abc", "two": "def"})


def with_versions(**versions: int) -> Current:
    return replace(NOW, methods={**NOW.methods, **versions})


def published_entries() -> tuple[dict[str, Any], dict[str, Any]]:
    return tuple(json.loads((BENCHMARKS / "methods" / name).read_text()) for name in ("results.json", "pods.json"))  # type: ignore[return-value]


def as_it_was(records: dict[str, Any]) -> Current:
    """Return the current versions for which none of these results is stale; they must agree with each other."""
    methods = {name: version for entry in records.values() for name, version in entry["madeWith"]["methods"].items()}
    examples = {name: digest for entry in records.values() for name, digest in entry["madeWith"]["examples"].items()}
    return Current(methods, examples)


def test_a_result_of_the_same_versions_is_not_stale() -> None:
    assert reasons(RECORD, NOW) == []


def test_a_raised_version_is_named() -> None:
    assert reasons(RECORD, with_versions(quantize=4)) == ["quantize 3 → 4"]


def test_a_change_of_an_unused_method_does_not_make_a_result_stale() -> None:
    assert reasons(RECORD, with_versions(prune=8)) == []


def test_a_removed_method_is_named() -> None:
    assert reasons(RECORD, replace(NOW, methods={"export": 1})) == ["quantize 3 → removed"]


def test_a_changed_example_is_named_before_methods() -> None:
    changed = replace(with_versions(export=2), examples={"one": "abd"})
    assert reasons(RECORD, changed) == ["the example", "export 1 → 2"]


def test_a_result_whose_versions_are_unknown_is_stale() -> None:
    assert reasons(None, NOW) == ["the versions of its methods are unknown"]


def test_changed_libraries_alone_make_no_result_stale() -> None:
    assert reasons(RECORD | {"libraries": {"onnx": "2.0"}}, NOW) == []


def test_stale_rows_are_listed_in_order_and_others_left_out() -> None:
    rows = {"b": RECORD, "a": None, "c": RECORD | {"methods": {"prune": 7}}}
    assert list(stale_rows(rows, with_versions(quantize=4))) == ["a", "b"]


def test_the_note_groups_rows_by_what_changed() -> None:
    text = note({"one": ["quantize 3 → 4"], "two": ["the example"], "three": ["quantize 3 → 4"]}, "make results", "†")
    assert text.startswith("\n† Stale: ")
    assert "`make results`" in text
    assert text.endswith("\n\n- quantize 3 → 4: one; three\n- the example: two\n")
    assert note({}, "make results") == ""


def test_a_raised_version_marks_the_row_in_the_table() -> None:
    results, _ = published_entries()
    name = "spam-svd"
    entry = results[name]
    now = as_it_was({name: entry})
    assert MARK not in render({name: entry}, {}, now)
    page = render({name: entry}, {}, replace(now, methods=now.methods | {"factorize": 99}))
    version = entry["madeWith"]["methods"]["factorize"]
    assert f"| [{name}](../../examples/local/{name}.yaml) {MARK} |" in page
    assert f"- factorize {version} → 99: {name}\n" in page


def test_tables_of_language_models_and_of_pods_are_marked_too() -> None:
    results, pods = published_entries()
    name = "smollm2-int4"
    now = as_it_was({name: results[name]})
    page = render(
        {name: results[name]}, {name: pods[name]}, replace(now, methods=now.methods | {"quantize weight-only": 99})
    )
    assert page.count(f"| {name} {MARK} |") == 2
    assert page.count(" → 99: smollm2-int4\n") == 2


@pytest.mark.parametrize("other", [{"machine": {"cpu": "another", "usableCpus": 64}}, {"versions": {"torch": "9"}}])
def test_another_machine_or_library_does_not_mark_the_row(other: dict[str, Any]) -> None:
    results, _ = published_entries()
    entry = results["spam-svd"]
    assert MARK not in render({"spam-svd": entry | other}, {}, as_it_was({"spam-svd": entry}))


def test_every_published_result_has_its_versions() -> None:
    examples = {case.name for case in CASES}
    for file in COMMANDS:
        rows = records(json.loads((BENCHMARKS / file).read_text()))
        assert rows, file
        for row, record in rows.items():
            assert record is not None, (file, row)
            assert record["methods"], (file, row)
            assert record["examples"].keys() <= examples, (file, row)
            assert all(isinstance(version, int) for version in record["methods"].values()), (file, row)


def test_the_record_of_an_example_has_its_methods() -> None:
    for entries in published_entries():
        for name, entry in entries.items():
            used = entry["madeWith"]["methods"].keys()
            inserted = {stage["method"] for stage in entry["stages"]} - STAGES.keys()
            requested = {title_of(Stage.model_validate(stage).key) for stage in entry["pipeline"]}
            assert used >= inserted | requested, name


def test_a_stale_result_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make results` leaves out what has its fingerprint: that changes with each version that can make it stale."""
    results, _ = published_entries()
    fingerprints = {case.name: case.fingerprint() for case in CASES}
    for key, method in METHODS.items():
        with monkeypatch.context() as patch:
            patch.setitem(METHODS, key, replace(method, version=method.version + 1))
            for case in CASES:
                if title_of(key) in results[case.name]["madeWith"]["methods"]:
                    assert case.fingerprint() != fingerprints[case.name], (case.name, key)


def test_methods_of_a_report_are_those_of_all_stages_that_ran() -> None:
    published = [{"method": "prune", "parameters": {"sparsity": "0.5"}}, {"method": "export", "parameters": {}}]
    whole = [*published, {"method": "quantize", "parameters": {"method": "static"}}, {"method": "pack"}]
    every = {"prune", "export", "quantize static", "pack"}
    assert methods_of({"stages": published}) == {"prune", "export"}
    assert methods_of({"stages": published, "fallback": None}) == {"prune", "export"}
    assert methods_of({"stages": published, "fallback": {"stages": whole}}) == every


def test_the_record_of_a_new_result_has_the_current_versions() -> None:
    case = CASES[0]
    record = made_with({"export", "pack"}, [case], {"torch": "1", "zstandard": "2"}.get)
    assert reasons(record, current()) == []
    assert record["methods"] == {"export": METHODS["export", ""].version, "pack": METHODS["pack", ""].version}
    assert record["libraries"] == {"torch": "1", "zstandard": "2"}
    assert record["examples"] == {case.name: case.digest()}


def test_a_comment_does_not_change_an_example_and_a_value_does(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    digests = []
    for text in ("spec: {limit: 1}\n", "# The limit.\nspec:\n  limit: 1\n", "spec: {limit: 2}\n"):
        path.write_text(text)
        digests.append(Case(path).digest())
    assert digests[0] == digests[1] != digests[2]


@pytest.fixture
def two_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write two files of results, one in each layout; only the second has a result of quantize."""
    monkeypatch.setattr(published, "BENCHMARKS", tmp_path)
    monkeypatch.setattr(published, "COMMANDS", {"a.json": "measure a", "b.json": "measure NAME"})
    unquantized = RECORD | {"methods": {"export": 1}}
    (tmp_path / "a.json").write_text(json.dumps({"date": "today", "madeWith": {"row": unquantized}}))
    entries = {"slow": {"runSeconds": 61.2, "madeWith": RECORD}, "other": {"madeWith": unquantized}}
    (tmp_path / "b.json").write_text(json.dumps(entries))


@pytest.mark.usefixtures("two_results")
def test_stale_results_of_every_file_are_listed() -> None:
    assert stale_results(NOW) == []
    stale = stale_results(with_versions(quantize=4))
    assert stale == [StaleResult("b.json", "slow", ["quantize 3 → 4"], 61.2)]
    assert summary(stale) == (
        "benchmarks/b.json: 1 stale, measured again by `measure NAME`\n  slow: quantize 3 → 4 (its run took 61 s)\n"
    )


@pytest.mark.usefixtures("two_results")
@pytest.mark.parametrize(("version", "status"), [(3, 0), (4, 1)])
def test_the_check_fails_for_a_stale_result(
    version: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "current", lambda: with_versions(quantize=version))
    monkeypatch.setattr(sys, "argv", ["benchmarks.methods", "--check"])
    assert command.main() == status
    said = capsys.readouterr().out
    assert ("slow: quantize 3 → 4" in said) == bool(status)
    assert (said == "no published result is stale\n") == (not status)
