"""A new operator continues the removal of files of a killed one."""

from collections.abc import Callable

from compressionjob.retention import SpaceUsed
from tests.integration.operator.api import Namespace, wait_for
from tests.integration.operator.operators import OperatorProcess
from tests.integration.operator.test_retention import cleaning_job, end_cleaning, end_run
from tests.support.manifests import job


def test_new_operator_continues_a_removal(namespace: Namespace, launch: Callable[..., OperatorProcess]) -> None:
    operator = launch()
    operator.wait_leading()
    namespace.apply(job(spec__retention={"checkpoints": "1s"}))
    ran = end_run(namespace, SpaceUsed(checkpoint_bytes=70))
    name = cleaning_job(namespace)["metadata"]["name"]
    wait_for("its Job is known", lambda: namespace.status("minilm-int8").get("childJob", {}).get("name") == name)
    operator.kill()
    launch().wait_leading()
    end_cleaning(namespace, ran, SpaceUsed())
    wait_for("it is noted", lambda: namespace.condition("minilm-int8", "CleanedUp").get("status") == "True")
    assert namespace.status("minilm-int8")["retention"]["cleaned"] == ["checkpoints"]
    assert [child["metadata"]["name"] for child in namespace.children()].count(name) == 1
