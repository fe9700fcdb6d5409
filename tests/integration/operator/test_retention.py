"""Files of an ended job are removed by a Job of its own on a real API server, and the job waits for that."""

from typing import Any

import pytest

from compressionjob.report import Summary
from compressionjob.retention import SpaceUsed
from tests.integration.operator.api import Namespace, phase_is, wait_for
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import job
from tests.support.operator.builders import summary

PART = "compression-operator.io/part"
SHARED = "s3://models/shared-checkpoints"


def cleaning_job(namespace: Namespace) -> dict[str, Any]:
    """The Job of the part Clean."""
    return wait_for("a Job removes files", lambda: next(
        (child for child in namespace.children() if child["metadata"]["labels"][PART] == "Clean"), None
    ))  # fmt: skip


def end_run(namespace: Namespace, space: SpaceUsed, name: str = "minilm-int8") -> str:
    """Let the pod of the job end with a Pass; returns its name."""
    pod = namespace.pod()
    namespace.run_pod(pod)
    namespace.end_pod(pod, message=summary("Pass", space=space))
    phase_is(namespace, "Succeeded", name)
    return pod


def end_cleaning(namespace: Namespace, before: str, space: SpaceUsed) -> None:
    pod = namespace.pod(other_than=before)
    namespace.run_pod(pod)
    namespace.end_pod(pod, message=Summary(part="Clean", space=space).to_message())


def test_files_are_removed_and_then_the_job_expires(namespace: Namespace, operator: OperatorProcess) -> None:
    namespace.apply(job(spec__retention={"checkpoints": "1s"}, spec__ttl="1s"))
    ran = end_run(namespace, SpaceUsed(checkpoint_bytes=70, report_bytes=3, result_bytes=20))
    about = f'job="minilm-int8",kind="checkpoints",namespace="{namespace.name}"'
    space = f"compression_operator_job_space_bytes{{{about}}}"
    wait_for("the space is shown", lambda: operator.metric(space) == 70)
    child = cleaning_job(namespace)
    assert child["metadata"]["name"].endswith("-clean")
    (container,) = child["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "100m", "memory": "512Mi"}
    status = namespace.status("minilm-int8")
    assert (status["phase"], status["retention"]["cleaning"]) == ("Succeeded", ["checkpoints"])
    end_cleaning(namespace, ran, SpaceUsed(result_bytes=20))
    wait_for("the job expires", lambda: namespace.job("minilm-int8") is None)
    assert namespace.event_reasons() >= {"FilesRemoved", "Expired"}


@pytest.mark.usefixtures("operator")
def test_checkpoints_wait_for_a_job_that_shares_the_folder(namespace: Namespace) -> None:
    namespace.apply(
        job(metadata__name="other", spec__output={"destination": "s3://models/shared-other", "checkpoints": SHARED})
    )
    first = namespace.pod()
    output = {"destination": "s3://models/shared-first", "checkpoints": SHARED}
    namespace.apply(job(spec__retention={"checkpoints": "1s"}, spec__output=output))
    ran = namespace.pod(other_than=first)
    namespace.run_pod(ran)
    namespace.end_pod(ran, message=summary("Pass"))
    phase_is(namespace, "Succeeded")
    waits = wait_for("it waits", lambda: namespace.condition("minilm-int8", "CleanedUp").get("message"))
    assert f"{namespace.name}/other shares the folder" in waits
    assert {child["metadata"]["labels"][PART] for child in namespace.children()} <= {"Run", "Compress"}
