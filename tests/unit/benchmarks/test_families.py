"""The benchmark of families of Transformers models, and its table in the docs."""

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from benchmarks.families import __main__ as command
from benchmarks.families import trying
from benchmarks.families.__main__ import Trial, arguments_of
from benchmarks.families.baseline import Baseline, baseline_of
from benchmarks.families.catalog import Family, diverse, families
from benchmarks.families.checking import BATCHES, differences
from benchmarks.families.comparison import Answers, difference
from benchmarks.families.methods import Variant, variants
from benchmarks.families.planting import FAULTS, planted_folder
from benchmarks.families.processes import Server
from benchmarks.families.store import Store, publish, published, sources_digest
from benchmarks.families.table import TABLE, render
from benchmarks.families.trying import attempt, prepare, refusals
from compression_runner.commands import plan, run
from compression_runner.formats.source.transformers_config import SUFFIXES
from compression_runner.formats.transformers_model import CLASSES
from compression_runner.pipeline.planner import EXPORT
from compressionjob.exit_codes import ExitCode
from compressionjob.methods.registry import METHODS

TEN = 10
BY_TITLE = {family.title: family for family in families()}


def test_every_task_has_ten_families_or_all_of_transformers() -> None:
    named = {task: {family.name for family in families() if family.task == task} for task in SUFFIXES}
    wanted = {task: min(TEN, len(CLASSES[task]._model_mapping)) for task in SUFFIXES}
    assert {task: len(names) for task, names in named.items() if len(names) < wanted[task]} == {}


def test_there_are_sixty_families() -> None:
    assert len(BY_TITLE) == len(families()) >= 60


def test_every_method_is_tried_with_each_of_its_algorithms() -> None:
    tried = [variant.title for variant in variants()]
    assert len(tried) == len({*tried})
    assert {variant.group for variant in variants()} == METHODS.keys()
    for group, parameters in METHODS.items():
        field = parameters.model_fields.get("method")
        algorithms = {*get_args(field.annotation)} if field else set()
        assert {
            variant.parameters["method"] for variant in variants() if variant.group == group and field
        } == algorithms


def test_the_table_matches_the_families() -> None:
    page = render(families(), variants(), published(families()))
    assert TABLE.read_text() == page, "run: python -m benchmarks.families --table"


def test_outcomes_of_a_changed_family_are_not_published(tmp_path: Path) -> None:
    family, variant = families()[0], variants()[0]
    store = Store("sources", tmp_path)
    store.put(family, variant, {"status": "judged", "line": "Pass", "stage": ""})
    publish(store, [family], [variant], tmp_path / "results.json")
    assert published([family], tmp_path / "results.json")[family.title][variant.title]["line"] == "Pass"
    assert published([replace(family, sizes={"hidden_size": 8})], tmp_path / "results.json") == {}


def test_outcomes_that_the_cache_has_lost_stay_published(tmp_path: Path) -> None:
    family, variant = families()[0], variants()[0]
    store, path = Store("sources", tmp_path), tmp_path / "results.json"
    store.put(family, variant, {"status": "judged", "line": "Pass", "stage": ""})
    publish(store, [family], [variant], path)
    publish(Store("newer", tmp_path), [family], [variant], path)
    assert published([family], path)[family.title][variant.title]["line"] == "Pass"


def test_outcomes_are_published_family_by_family(tmp_path: Path) -> None:
    (first, second), variant = families()[:2], variants()[0]
    store, path = Store("sources", tmp_path), tmp_path / "results.json"
    for family in (first, second):
        store.put(family, variant, {"status": "judged", "line": "Pass", "stage": ""})
    publish(store, [first], [variant], path)
    assert list(published(families(), path)) == [first.title]
    publish(store, [second], [variant], path)
    assert list(published(families(), path)) == [first.title, second.title]


def test_new_architectures_come_first() -> None:
    order = diverse(families())
    assert {family.title for family in order} == {*BY_TITLE}
    kinds = len({family.config for family in order})
    assert len({family.config for family in order[:kinds]}) == kinds
    assert len({family.task for family in order[:5]}) == 5


def trial_of(store: Store, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setattr("sys.argv", ["families", *arguments])
    return Trial(store, arguments_of())


@pytest.mark.parametrize(
    ("arguments", "known"),
    [((), [None, None, "kept"]), (("--missing",), ["before", None, "kept"]), (("--again",), [None, None, None])],
)
def test_only_missing_and_faulty_pairs_are_tried_again(
    arguments: tuple[str, ...], known: list[str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, tried = families()[0], variants()[:3]
    before = {
        tried[0].title: {"status": "judged", "line": "before", "stage": ""},
        tried[1].title: {"status": "fault", "line": "KeyError", "stage": "run"},
    }
    monkeypatch.setattr(command, "published", lambda _families: {family.title: before})
    store = Store("sources", tmp_path)
    store.put(family, tried[2], {"status": "judged", "line": "kept", "stage": ""})
    trial = trial_of(store, *arguments, monkeypatch=monkeypatch)
    outcomes = [trial.known(family, variant) for variant in tried]
    assert [outcome["line"] if outcome else None for outcome in outcomes] == known


def test_the_key_of_outcomes_includes_code_and_not_the_table(tmp_path: Path) -> None:
    for name, text in {
        "benchmarks/families/trying.py": "from compression_runner import work",
        "benchmarks/families/checking.py": "",
        "benchmarks/__init__.py": "",
        "jobs/compression_runner/__init__.py": "",
        "jobs/compression_runner/work.py": "",
        "uv.lock": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    before = sources_digest(tmp_path)
    (tmp_path / "benchmarks" / "families" / "results.json").write_text("{}")
    assert sources_digest(tmp_path) == before
    (tmp_path / "jobs" / "compression_runner" / "work.py").write_text("CHANGED = True")
    assert sources_digest(tmp_path) != before


def test_the_key_of_outcomes_includes_sources_family_and_parameters(tmp_path: Path) -> None:
    family, variant = families()[0], variants()[0]
    store = Store("sources", tmp_path)
    store.put(family, variant, {"status": "judged", "line": "Pass", "stage": ""})
    assert store.get(family, variant) == {
        "status": "judged", "line": "Pass", "stage": "", "version": variant.version,
    }  # fmt: skip
    assert Store("others", tmp_path).get(family, variant) is None
    assert store.get(replace(family, tokenizer="t5"), variant) is None
    assert store.get(family, replace(variant, parameters={"sparsity": "0.1"})) is None


def test_the_page_distinguishes_all_outcomes() -> None:
    family = BY_TITLE["text-embedding/bert"]
    tried = [Variant("prune", name, {"sparsity": "0.5"}) for name in ("one", "two", "three", "four")]
    tried.append(Variant("pack", "", {}))
    outcomes = {
        family.title: {
            "prune one": {"status": "judged", "line": "Pass", "stage": ""},
            "prune two": {"status": "refused", "line": "spec (x): no such layer to do: leave it out", "stage": ""},
            "prune three": {"status": "fault", "line": "KeyError: 'a'", "stage": "run"},
        }
    }
    for outcome in outcomes[family.title].values():
        outcome["version"] = tried[0].version
    outcomes[family.title]["baseline"] = {
        "status": "judged", "line": "", "stage": "", "largest": 2e-7, "version": EXPORT.version,
    }  # fmt: skip
    page = render([family], tried, outcomes)
    assert "| bert | ✓, two[^1], ✗ three, ? four | ? | 2e-07 |" in page
    assert "[^1]: no such layer\n" in page
    assert "- run: KeyError: 'a' (text-embedding/bert: prune three)" in page
    assert "a verdict: 1; refused by `plan`: 1; with an error: 1; not tried yet: 2." in page


def test_the_page_lists_an_error_of_several_methods_once() -> None:
    first, second = BY_TITLE["text-embedding/bert"], BY_TITLE["text-classification/xlnet"]
    tried = [Variant("prune", name, {"sparsity": "0.5"}) for name in ("one", "two")]
    ended = {"status": "fault", "line": "it has no export", "stage": "run", "version": tried[0].version}
    outcomes = {first.title: {"prune one": ended}, second.title: {variant.title: ended for variant in tried}}
    page = render([first, second], tried, outcomes)
    assert (
        "- run: it has no export (text-embedding/bert: prune one; text-classification/xlnet: prune one, prune two)"
        in page
    )
    assert page.count("it has no export") == 1


def test_outcomes_of_earlier_versions_are_marked() -> None:
    family, variant = BY_TITLE["text-embedding/bert"], Variant("pack", "", {})
    for version, cell in ((variant.version, "✓"), (variant.version - 1, "✓°"), (None, "✓°")):
        outcome = {"status": "judged", "line": "Pass", "stage": "", "version": version}
        assert f"| bert | {cell} | ? |" in render([family], [variant], {family.title: {"pack": outcome}})


@pytest.mark.parametrize(
    ("planned", "ran", "status", "stage"),
    [
        (ExitCode.DONE, ExitCode.NOT_MET, "judged", ""),
        (ExitCode.RECIPE, ExitCode.DONE, "refused", ""),
        (ExitCode.UNEXPECTED, ExitCode.DONE, "fault", "plan"),
        (ExitCode.DONE, ExitCode.RECIPE, "fault", "run"),
    ],
)
def test_a_refusal_after_plan_is_a_fault(
    planned: ExitCode, ran: ExitCode, status: str, stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(with_status: ExitCode) -> Callable[..., ExitCode]:
        def command(*_arguments: object, **_options: object) -> ExitCode:
            (tmp_path / "work").mkdir(exist_ok=True)
            (tmp_path / "work" / "report.json").write_text(json.dumps({"verdict": "Fail"}))
            if with_status != ExitCode.DONE:
                logging.getLogger("compression_runner").error("error: field (value): problem\n  to do: remedy")
            return with_status

        return command

    monkeypatch.setattr(trying, "prepare", lambda *_: None)
    monkeypatch.setattr(trying, "measure_shortly", lambda: None)
    monkeypatch.setattr(plan, "plan", ends(planned))
    monkeypatch.setattr(run, "run", ends(ran))
    attempt(families()[0], variants()[0], tmp_path, tmp_path / "result.json")
    outcome = json.loads((tmp_path / "result.json").read_text())
    assert (outcome["status"], outcome["stage"]) == (status, stage)
    assert outcome["line"] == ("Fail" if status == "judged" else "field (value): problem to do: remedy")


def test_a_process_is_killed_at_its_limit_and_a_traceback_is_reported(tmp_path: Path) -> None:
    server = Server(0.5, imported=())
    assert server.call(tmp_path / "log", time.sleep, 60).startswith("it did not end in 0.5 s")
    patient = Server(60, imported=())
    assert patient.call(tmp_path / "log", int, "five") == "ValueError: invalid literal for int() with base 10: 'five'"
    assert patient.call(tmp_path / "log", int, "5") == ""


def test_a_worker_is_reused_until_an_error(tmp_path: Path) -> None:
    place = tmp_path / "processes"
    with Server(60, imported=()).worker() as worker:
        assert worker.is_fresh
        for _ in range(2):
            assert worker.call(tmp_path / "log", write_process, place) == ""
        assert not worker.is_fresh
        assert worker.call(tmp_path / "log", int, "five").startswith("ValueError")
        assert worker.is_fresh
        assert worker.call(tmp_path / "log", write_process, place) == ""
    first, second, third = place.read_text().split()
    assert first == second != third


def write_process(place: Path) -> None:
    with place.open("a") as file:
        file.write(f"{os.getpid()}\n")


def test_a_plan_of_all_pairs_stores_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def planned(job: Path, **_options: object) -> ExitCode:
        if job.stem == "prune-magnitude":
            return ExitCode.DONE
        logging.getLogger("compression_runner").error("error: field (value): problem\n  to do: remedy")
        return ExitCode.RECIPE

    monkeypatch.setattr(trying, "prepare", lambda *_: None)
    monkeypatch.setattr(plan, "plan", planned)
    before = [*logging.getLogger("compression_runner").handlers]
    refusals(families()[0], variants()[:2], tmp_path, tmp_path / "plan.json")
    assert json.loads((tmp_path / "plan.json").read_text()) == {
        "prune wanda": {"status": "refused", "line": "field (value): problem to do: remedy", "stage": ""}
    }
    assert logging.getLogger("compression_runner").handlers == before


def test_classes_are_compared_by_their_names_and_shapes_must_agree() -> None:
    ours = Answers(values=[[1.0, 2.0]], names=("a", "b"))
    assert difference(ours, Answers(values=[[2.0, 1.0]], names=("b", "a"))).agrees
    assert not difference(ours, Answers(values=[[1.0, 2.0]], names=("b", "a"))).agrees
    assert not difference(ours, Answers(values=[[1.0]], names=("a",))).agrees
    assert not difference(Answers(values=[[1.0, float("nan")]]), Answers(values=[[1.0, 2.0]])).agrees
    assert difference(Answers(texts=["a", "b"]), Answers(texts=["a", "c"])).size == 0.5


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Family], Path]:
    """Return the folder of a family, created once."""
    root = tmp_path_factory.mktemp("families")

    def folder(family: Family) -> Path:
        prepare(family, root / family.title)
        return root / family.title

    return folder


@pytest.fixture(scope="module")
def right(folders: Callable[[Family], Path]) -> dict[str, Baseline]:
    """The baselines of the families in which faults are planted, without any."""
    titles = {fault.family for fault in FAULTS.values()}
    return {title: baseline_of(BY_TITLE[title], folders(BY_TITLE[title])) for title in titles}


def test_a_baseline_answers_as_its_library_does(right: dict[str, Baseline], folders: Callable[[Family], Path]) -> None:
    for title, baseline in right.items():
        by_batch = differences(baseline, folders(BY_TITLE[title]) / "model")
        assert {batch: one.agrees for batch, one in by_batch.items()} == dict.fromkeys(BATCHES, True)


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught(
    name: str, right: dict[str, Baseline], folders: Callable[[Family], Path], tmp_path: Path
) -> None:
    fault = FAULTS[name]
    family = BY_TITLE[fault.family]
    if fault.changes_folder:
        baseline = baseline_of(family, planted_folder(fault, folders(family), tmp_path))
    else:
        baseline = fault.answering(right[fault.family])
    by_batch = differences(baseline, folders(family) / "model")
    assert not all(one.agrees for one in by_batch.values())
