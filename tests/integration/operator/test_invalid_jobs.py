"""Every job that the API server lets through and that cannot work ends in a condition, without a child."""

import copy

from tests.integration.operator.api import Namespace, wait_for
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import invalid_jobs


def test_the_operator_says_what_the_server_cannot(namespace: Namespace, operator: OperatorProcess) -> None:
    cases = [case for case in invalid_jobs() if case["refusedBy"] == "operator"]
    assert len(cases) >= 10
    for number, case in enumerate(cases):
        manifest = copy.deepcopy(case["manifest"])
        manifest["metadata"]["name"] = f"invalid-{number}"
        namespace.apply(manifest)
    for number, case in enumerate(cases):
        name = f"invalid-{number}"
        wait_for(f"{case['name']} ends", lambda name=name: namespace.status(name).get("phase") == "Failed")
        accepted = namespace.condition(name, "Accepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec"), case["name"]
        assert case["field"] in accepted["message"], case["name"]
        assert case["says"] in accepted["message"], (case["name"], accepted["message"])
    assert not namespace.children()
    assert operator.process.poll() is None
