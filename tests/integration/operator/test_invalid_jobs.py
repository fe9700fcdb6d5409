"""Every job that the API server lets through and that cannot work ends in a condition, without a child."""

import copy
from functools import partial

from tests.integration.operator.api import Namespace, wait_for
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import invalid_jobs


def _failed(namespace: Namespace, name: str) -> bool:
    return bool(namespace.status(name).get("phase") == "Failed")


def test_operator_refuses_invalid_jobs_that_the_server_accepts(namespace: Namespace, operator: OperatorProcess) -> None:
    cases = [case for case in invalid_jobs() if case["refusedBy"] == "operator"]
    assert len(cases) >= 10
    for number, case in enumerate(cases):
        manifest = copy.deepcopy(case["manifest"])
        manifest["metadata"]["name"] = f"invalid-{number}"
        namespace.apply(manifest)
    for number, case in enumerate(cases):
        name = f"invalid-{number}"
        wait_for(f"{case['name']} ends", partial(_failed, namespace, name))
        accepted = namespace.condition(name, "Accepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec"), case["name"]
        assert case["field"] in accepted["message"], case["name"]
        assert case["says"] in accepted["message"], (case["name"], accepted["message"])
    assert not namespace.children()
    assert operator.process.poll() is None
