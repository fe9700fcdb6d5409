"""Jobs are validated before any pod starts."""

from typing import Any

import pytest

from compression_operator.loop.reconcile import reconcile
from tests.support.manifests import REMOVE, incompressible_names
from tests.support.operator.builders import NOW, condition_of, job, observe, runtime, settle, with_status

VOLUME = {"name": "models", "mountPath": "/models", "persistentVolumeClaim": {"claimName": "models"}}
WRITABLE = {"name": "out", "mountPath": "/out", "persistentVolumeClaim": {"claimName": "out", "readOnly": False}}


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"spec__model": REMOVE}, "spec.model", "spec.model is missing: add it: model to compress"),
        ({"spec__model__task": "cooking"}, "spec.model.task", "text-embedding"),
        (
            {"spec__pipeline": [{"pack": {"codec": "zstd"}}, {"prune": {"sparsity": "0.3"}}]},
            "spec.pipeline[1].prune",
            "pack",
        ),
        ({"spec__unknown": 1}, "spec.unknown", "no such field"),
        ({"spec__model__source": "file:///etc/passwd"}, "spec.model.source", "below a volume of the runtime"),
        ({"spec__model__source": "file:///modelsx/a"}, "spec.model.source", "/models"),
        ({"spec__output__destination": "file:///models/out"}, "spec.output.destination", "read-only"),
        ({"spec__output__reports": "file:///nowhere"}, "spec.output.reports", "below a volume of the runtime"),
    ],
)
def test_a_spec_that_cannot_work_ends_the_job_without_a_child(changes: dict[str, Any], field: str, says: str) -> None:
    record, plan = settle(observe(job(**changes), on=runtime(volumes=[VOLUME])))
    accepted = condition_of(plan, "Accepted")
    assert plan.create is None
    assert accepted["status"] == "False"
    assert accepted["reason"] == "InvalidSpec"
    assert field in accepted["message"]
    assert says in accepted["message"]
    assert (record.phase, record.reason) == ("Failed", "InvalidSpec")
    assert condition_of(plan, "Failed")["status"] == "True"
    assert reconcile(observe(record), NOW).empty


def test_files_below_the_runtimes_volumes_are_fine() -> None:
    record = job(spec__model__source="file:///models/minilm", spec__output__destination="file:///out/minilm")
    assert reconcile(observe(record, on=runtime(volumes=[VOLUME, WRITABLE])), NOW).create is not None


def test_a_missing_runtime_is_waited_for() -> None:
    record, plan = settle(observe(job(spec__runtime="gpu"), without_runtime=True))
    accepted = condition_of(plan, "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "RuntimeNotFound")
    assert "'gpu'" in accepted["message"]
    assert record.phase == "Pending"
    assert record.reason == "RuntimeNotFound"
    assert reconcile(observe(record, without_runtime=True), NOW).empty
    assert reconcile(observe(record, on=runtime("gpu")), NOW).create is not None


def test_an_invalid_runtime_is_waited_for() -> None:
    record, plan = settle(observe(on=runtime(image="")))
    assert condition_of(plan, "Accepted")["reason"] == "InvalidRuntime"
    assert "spec.image" in condition_of(plan, "Accepted")["message"]
    assert record.phase == "Pending"


def test_an_invalid_spec_is_refused_even_when_the_runtime_is_missing() -> None:
    _, plan = settle(observe(job(spec__model__task="cooking"), without_runtime=True))
    assert condition_of(plan, "Accepted")["reason"] == "InvalidSpec"


def test_conditions_have_the_observed_generation() -> None:
    record = job(generation=3, spec__model__task="cooking")
    plan = reconcile(observe(record), NOW)
    assert plan.status is not None
    assert plan.status["observedGeneration"] == 3
    assert condition_of(plan, "Accepted")["observedGeneration"] == 3
    assert with_status(record, plan).ended


@pytest.mark.parametrize(
    ("resources", "isolation", "refused"),
    [
        ({"requests": {"cpu": "1"}}, "Node", True),
        ({"requests": {"cpu": "1500m"}, "limits": {"cpu": "8"}}, "Node", True),
        ({"limits": {"cpu": "2"}}, "Node", True),
        ({"requests": {"cpu": "2500m"}}, "Node", False),
        ({"requests": {"memory": "1Gi"}}, "Node", False),
        ({"requests": {"cpu": "1"}}, "Shared", False),
        ({"requests": {"cpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}, "GPU", False),
    ],
)
def test_too_many_threads_are_refused_before_compressing(
    resources: dict[str, Any], isolation: str, refused: bool
) -> None:
    quiet = runtime("quiet", resources=resources, measuring={"isolation": isolation})
    record = job(spec__benchmark__threads=3, spec__sla__runtime="quiet")
    plan = reconcile(observe(record, measuring_runtime=quiet), NOW)
    assert (plan.create is None) == refused
    if refused:
        message = condition_of(plan, "Accepted")["message"]
        assert message.startswith("spec.benchmark.threads: '3' is not valid: the runtime 'quiet' that measures")


@pytest.mark.parametrize(("limits", "refused"), [({"memory": "8Gi"}, True), ({"nvidia.com/gpu": "1"}, False)])
def test_a_job_that_is_measured_on_a_gpu_is_refused_without_one(limits: dict[str, str], refused: bool) -> None:
    serving = runtime("serving", resources={"limits": limits})
    record = job(
        spec__pipeline=[{"quantize": {"method": "cast", "dtype": "float16"}}],
        spec__benchmark={"engine": "onnxruntime-cuda"},
        spec__sla__runtime="serving",
    )
    plan = reconcile(observe(record, measuring_runtime=serving), NOW)
    assert (plan.create is None) == refused
    if refused:
        message = condition_of(plan, "Accepted")["message"]
        assert message.startswith("spec.benchmark.engine: 'onnxruntime-cuda' is not valid: the runtime 'serving'")


def test_measured_result_is_published_after_a_runtime_change() -> None:
    small = runtime(resources={"requests": {"cpu": "1"}}, measuring={"isolation": "Node"})
    status = {"part": "Publish", "phase": "Running", "digest": "sha256:" + "a" * 64}
    record = job(spec__benchmark__threads=3, status=status)
    assert reconcile(observe(record, on=small), NOW).create is not None


def test_oversized_job_is_refused_and_names_the_field() -> None:
    plan = reconcile(observe(job(spec__data__evaluation__columns={"features": incompressible_names()})), NOW)
    message = condition_of(plan, "Accepted")["message"]
    assert plan.create is None
    assert message.startswith("spec.data.evaluation.columns.features: the job has ")
    assert "at most 200Ki are allowed" in message
    assert len(message) <= 200
