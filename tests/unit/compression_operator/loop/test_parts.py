"""A job that is measured on another runtime: one child for the stages, another one for measuring."""

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.job import JobRecord
from compressionjob.report import Summary
from tests.support.operator.builders import (
    after,
    child,
    complete,
    ended_pod,
    failed,
    job,
    observe,
    progress,
    running_pod,
    runtime,
    settle,
    summary,
)

SERVING = runtime("serving", image="serving:1")
STAGES_DONE = Summary(part="Compress", stages_run=3).to_message()


def split() -> JobRecord:
    """A job that is measured on the runtime ``serving``."""
    return job(spec__sla__runtime="serving")


def measuring() -> JobRecord:
    """The same once its stages are done."""
    record, _ = settle(observe(split(), measuring_runtime=SERVING, child=child(part="Compress")))
    done = observe(
        record, measuring_runtime=SERVING, child=complete(part="Compress"), pods=(ended_pod(message=STAGES_DONE),)
    )
    record, plan = settle(done, after(600))
    assert plan.requeue_after == 0
    return record


def test_the_first_child_compresses_on_the_jobs_runtime() -> None:
    plan = reconcile(observe(split(), measuring_runtime=SERVING), after(0))
    assert plan.create is not None
    assert plan.create["metadata"]["labels"]["compression-operator.io/part"] == "Compress"
    assert plan.create["spec"]["template"]["spec"]["containers"][0]["image"] == "runner:1"


def test_a_missing_measuring_runtime_is_said_before_anything_starts() -> None:
    record, plan = settle(observe(split()))
    assert plan.create is None
    assert record.reason == "RuntimeNotFound"
    assert "spec.sla.runtime: there is no CompressionRuntime 'serving'" in record.status().message


def test_the_second_child_measures_on_the_serving_runtime() -> None:
    record = measuring()
    assert (record.phase, record.part, record.present_runtime) == ("Running", "Measure", "serving")
    plan = reconcile(observe(record, on=SERVING, measuring_runtime=SERVING), after(601))
    assert plan.create is not None
    assert plan.create["metadata"]["name"] == "minilm-int8-0a1b2c3d-measure"
    (container,) = plan.create["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "serving:1"
    assert {"name": "COMPRESSION_PART", "value": "Measure"} in container["env"]


def test_measuring_alone_on_a_node_is_a_part_of_its_own() -> None:
    alone = runtime(measuring={"isolation": "Node"})
    record = job().begin("Compress", "cpu")
    plan = reconcile(observe(record, on=alone, measuring_runtime=alone), after(0))
    assert plan.create is not None
    assert "affinity" not in plan.create["spec"]["template"]["spec"]
    record, _ = settle(observe(record, on=alone, measuring_runtime=alone, child=child(part="Compress")))
    done = observe(record, on=alone, measuring_runtime=alone, child=complete(part="Compress"))
    record, _ = settle(done, after(600))
    assert (record.part, record.begun, record.measuring_runtime) == ("Measure", True, "cpu")
    plan = reconcile(observe(record, on=alone, measuring_runtime=alone), after(601))
    assert plan.create is not None
    assert plan.create["metadata"]["name"] == "minilm-int8-0a1b2c3d-measure"
    assert "podAntiAffinity" in plan.create["spec"]["template"]["spec"]["affinity"]


def test_the_runtime_that_measures_stays_the_one_that_the_job_began_with() -> None:
    record, _ = settle(
        observe(job().begin("Compress", "serving"), measuring_runtime=SERVING, child=child(part="Compress"))
    )
    assert (record.begun, record.status().measuring_runtime, record.measuring_runtime) == (True, "serving", "serving")


def test_a_missing_runtime_of_the_platform_team_is_named_by_its_field() -> None:
    record, plan = settle(observe(job().begin("Compress", "serving")))
    assert plan.create is None
    text = "spec.measuring.runtime of the CompressionRuntime 'cpu': there is no CompressionRuntime 'serving'"
    assert text in record.status().message


def test_the_same_runtime_twice_is_one_part() -> None:
    plan = reconcile(observe(job(spec__sla__runtime="cpu")), after(0))
    assert plan.create is not None
    assert plan.create["metadata"]["labels"]["compression-operator.io/part"] == "Run"


def test_stages_without_a_summary_are_measured() -> None:
    record, _ = settle(observe(split(), measuring_runtime=SERVING, child=child(part="Compress")))
    record, _ = settle(observe(record, measuring_runtime=SERVING, child=complete(part="Compress")), after(600))
    assert record.part == "Measure"


def test_a_failure_of_the_stages_ends_the_job() -> None:
    gone = failed("BackoffLimitExceeded", part="Compress", failed=4)
    record, _ = settle(observe(split(), measuring_runtime=SERVING, child=gone, pods=(ended_pod(code=1),)))
    assert (record.phase, record.reason) == ("Failed", "RetriesExhausted")


def test_progress_never_goes_back_from_one_part_to_the_next() -> None:
    record, _ = settle(observe(split(), measuring_runtime=SERVING, child=child(part="Compress")))
    stages = observe(
        record, measuring_runtime=SERVING, child=child(part="Compress", active=1), pods=(running_pod(),),
        progress=progress("prune", 0.5),
    )  # fmt: skip
    record, _ = settle(stages, after(10))
    assert record.status().progress == 35
    done = observe(
        record, measuring_runtime=SERVING, child=complete(part="Compress"), pods=(ended_pod(message=STAGES_DONE),)
    )
    record, _ = settle(done, after(20))
    begun = observe(
        record, on=SERVING, measuring_runtime=SERVING, child=child(part="Measure", active=1, uid="c-2"),
        pods=(running_pod(),), progress=progress("measure", 0.1),
    )  # fmt: skip
    record, _ = settle(begun, after(30))
    assert record.status().progress == 73
    over = observe(
        record, on=SERVING, measuring_runtime=SERVING, child=complete(part="Measure", uid="c-2"),
        pods=(ended_pod(message=summary()),),
    )  # fmt: skip
    record, _ = settle(over, after(40))
    assert (record.phase, record.status().progress) == ("Succeeded", 100)


def test_retries_count_across_parts() -> None:
    record, _ = settle(observe(split(), measuring_runtime=SERVING, child=child(part="Compress", failed=2)))
    done = observe(record, measuring_runtime=SERVING, child=complete(part="Compress", failed=2))
    record, _ = settle(done, after(20))
    plan = reconcile(observe(record, on=SERVING, measuring_runtime=SERVING), after(21))
    assert plan.create is not None
    assert plan.create["spec"]["backoffLimit"] == 1
