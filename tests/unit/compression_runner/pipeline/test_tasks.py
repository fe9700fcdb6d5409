"""Tasks in a whole run: a damaged model fails its limit on recovery, and wrong files are refused before it starts."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from compression_runner.__main__ import main
from compression_runner.errors import InvalidInput
from compression_runner.pipeline.preflight import preflight
from compression_runner.pipeline.run_locations import of_trial
from compression_runner.storage import Stores
from compressionjob.exit_codes import ExitCode
from compressionjob.report import Report
from compressionjob.spec import CompressionJobSpec
from tests.support import tiny_models
from tests.support.questions import SHOWN, choice_rows, continuation_rows, write_rows


def spec(folder: Path, *stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    words = {"name": "words", "source": f"file://{folder}/words.jsonl", "kind": "multiple-choice", "prompt": SHOWN}
    written = {"name": "written", "source": f"file://{folder}/written.jsonl", "kind": "generation", "prompt": SHOWN}
    generation = {"maxTokens": 4, "stop": ["\x00"], "ignoreCase": False}
    return {
        "model": {"source": f"file://{folder}/llama", "task": "text-generation"},
        "data": {
            "evaluation": {"source": f"file://{folder}/texts.parquet", "limit": 4},
            "tasks": [{**words, "metric": "acc", **more}, {**written, "generation": generation}],
        },
        "pipeline": list(stages),
        "sla": {"recovery": {"min": "0.8"}},
        "benchmark": {"sequenceLength": 32, "threads": 1, "timeLimit": "2s"},
        "output": {"destination": f"file://{folder}/out"},
    }


@pytest.fixture(scope="module")
def folder(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, its texts, and questions that it answers right."""
    folder = tmp_path_factory.mktemp("tasks")
    tiny_models.llama(folder / "llama")
    tiny_models.text_data(folder / "texts.parquet")
    write_rows(folder / "words.jsonl", choice_rows(llama, 60))
    write_rows(folder / "written.jsonl", continuation_rows(llama, 40, 4))
    return folder


def run(folder: Path, name: str, *stages: dict[str, Any]) -> tuple[int, Report]:
    head = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionJob", "metadata": {"name": name}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({**head, "spec": spec(folder, *stages)}))
    # One work directory: the second run takes the baseline's export and its scores from the first.
    status = main(["run", str(folder / f"{name}.yaml"), "--workdir", str(folder / "work")])
    return status, Report.model_validate(json.loads((folder / "work" / "report.json").read_text()))


def test_a_model_pruned_to_noise_fails_and_an_unharmed_one_passes(folder: Path) -> None:
    status, report = run(folder, "noise", {"prune": {"sparsity": "0.99"}})
    assert status == ExitCode.NOT_MET
    (limit,) = report.objectives
    assert (limit.name, limit.verdict) == ("recovery", "Fail")
    assert limit.high is not None
    assert limit.high < 0.8
    assert report.recovery is not None
    words, written = report.recovery.tasks
    assert (words.baseline.value, words.documents, written.baseline.value) == (1.0, 60, 1.0)
    assert words.broken == 60 - round(60 * words.compressed.value)
    # Most of the choices of this tiny model come from its embeddings, which are not pruned.
    assert (words.verdict != "Pass", written.verdict) == (True, "Fail")
    assert "### Recovery" in (folder / "work" / "report.md").read_text()
    assert "lm-eval" in report.provenance.versions
    assert report.looks[0].counts == "documents"

    status, report = run(folder, "unharmed", {"prune": {"sparsity": "0.001"}})
    assert status == ExitCode.DONE, report.sentence
    assert report.objectives[0].verdict == "Pass"


@pytest.mark.parametrize(
    ("more", "field", "says"),
    [
        ({"columns": {"answer": "solution"}}, "columns.answer", "the columns are: question, choices, answer"),
        ({"prompt": "{passage}"}, "prompt", "the columns are"),
        ({"source": "texts.csv"}, "source", "ends in .jsonl, .parquet"),
        ({"source": "absent.jsonl"}, "source", "there is no such file"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_runs(
    folder: Path, tmp_path: Path, more: dict[str, Any], field: str, says: str
) -> None:
    (folder / "texts.csv").write_text("question,answer\na,b\n")
    changed = {key: f"file://{folder}/{value}" if key == "source" else value for key, value in more.items()}
    job = CompressionJobSpec.model_validate(spec(folder, {"prune": {"sparsity": "0.1"}}, **changed))
    with pytest.raises(InvalidInput) as refused:
        preflight(job, of_trial(job, Stores(), tmp_path))
    assert refused.value.field == f"spec.data.tasks[0].{field}"
    assert says in f"{refused.value.problem}; {refused.value.remedy}"
