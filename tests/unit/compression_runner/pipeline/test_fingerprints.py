"""The inputs of the fingerprints of a job's steps."""

import json
from pathlib import Path

import pytest

from compression_runner.pipeline.planner import Step, make_plan
from compression_runner.pipeline.preflight import preflight
from compression_runner.pipeline.run_locations import of_trial
from compression_runner.storage import Stores
from compressionjob.spec import CompressionJobSpec
from tests.support import tiny_models
from tests.support.tiny_models.data import text_data

TRAINED = ("recover", "quantize")


def steps(place: Path, problem_type: str | None) -> tuple[dict[str, Step], dict[str, Step]]:
    """Return the steps of a job by method: as planned, and with the data's identity as it was before labels counted."""
    model = tiny_models.bert(place / "model", labels=3)
    file = model / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "problem_type": problem_type} if problem_type else config))
    spec = CompressionJobSpec.model_validate(
        {
            "model": {"source": f"file://{model}", "task": "text-classification"},
            "data": {
                "evaluation": {"source": f"file://{text_data(place / 'evaluation.parquet')}"},
                "training": {"source": f"file://{text_data(place / 'training.parquet')}", "limit": 40},
            },
            "pipeline": [{"prune": {"sparsity": "0.5"}}, {"recover": {}}, {"quantize": {"method": "qat"}}],
            "benchmark": {"sequenceLength": 32},
            "output": {"destination": f"file://{place / 'out'}"},
        }
    )
    prepared = preflight(spec, of_trial(spec, Stores(), place / "work"))
    training = spec.data.training
    assert training is not None
    read = ["training", training.to_json().get("columns"), 40, None, spec.benchmark.sequence_length]
    identity = json.dumps([prepared.data["training"].identity, *read], sort_keys=True)
    before = make_plan(spec, prepared.source, {"training": identity})
    return tuple({step.method.name: step for step in plan.steps} for plan in (prepared.plan, before))  # type: ignore[return-value]


@pytest.mark.parametrize("problem_type", [None, "single_label_classification"])
def test_checkpoints_of_one_class_for_each_sample_stay_valid(problem_type: str | None, tmp_path: Path) -> None:
    now, before = steps(tmp_path, problem_type)
    assert {name: step.fingerprint for name, step in now.items()} == {
        name: step.fingerprint for name, step in before.items()
    }


def test_multi_label_training_has_separate_fingerprints(tmp_path: Path) -> None:
    now, before = steps(tmp_path, "multi_label_classification")
    assert [name for name in now if now[name].fingerprint != before[name].fingerprint] == list(TRAINED)
