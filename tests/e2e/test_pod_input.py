"""A real kubelet passes the validated input to the pod unchanged, for any length and content."""

import json
from collections.abc import Callable
from typing import Any

from compressionjob.pod_input import MAX_PLAIN_BYTES
from tests.e2e.harness import Job, Namespace
from tests.e2e.jobs import BUCKET, approval, text_job

Submit = Callable[[dict[str, Any]], Job]

EXPANDED = [
    "$(HOME)",
    "$$",
    "$$(HOME)",
    "$(COMPRESSION_PART)",
    "${HOME}",
    "`id`",
    'tab\tquote"back\\slash',
    "\x7f\u202e",
]
"""Names that a kubelet or a shell would expand in an environment variable or on a command line."""

SIZE = {"size": {"maxRatio": "0.9"}}
"""A limit that does not depend on the load of the machine."""


def report_of(store: Any, name: str) -> dict[str, Any]:
    body = store.get_object(Bucket=BUCKET, Key=f"results/{name}-report/report.json")["Body"].read()
    report: dict[str, Any] = json.loads(body)
    return report


def features_of(report: dict[str, Any]) -> list[str]:
    features: list[str] = report["job"]["spec"]["data"]["evaluation"]["columns"]["features"]
    return features


def test_long_unicode_inputs_reach_the_pod_unchanged(submit: Submit, namespace: Namespace, store: Any) -> None:
    names = [*EXPANDED, *(f"größe-特徴量-{number}" * 8 for number in range(1000 - len(EXPANDED)))]
    assert len(json.dumps(names)) > 128 * 1024 > MAX_PLAIN_BYTES  # more than an environment variable may hold
    long = text_job("long", spec__data__evaluation__columns={"features": names}, spec__review="Always", spec__sla=SIZE)
    job = submit(long)
    job.wait_phase("AwaitingReview")
    assert features_of(report_of(store, "long")) == names
    me = namespace.kubectl.read("auth", "whoami")["status"]["userInfo"]["username"]
    review = json.loads(approval(job, me))
    review["spec"]["reason"] = "I saw $(HOME) and $$"
    namespace("create", "--filename=-", stdin=json.dumps(review))
    status = job.wait_phase("Succeeded")
    assert status["review"]["reason"] == "I saw $(HOME) and $$"
    assert report_of(store, "long")["review"]["reason"] == "I saw $(HOME) and $$"


def test_a_short_input_is_readable_and_not_expanded(submit: Submit, store: Any) -> None:
    job = submit(text_job("short", spec__data__evaluation__columns={"features": EXPANDED}, spec__sla=SIZE))
    job.wait_phase("Succeeded")
    assert features_of(report_of(store, "short")) == EXPANDED
    (pod,) = job.pods()
    text = pod["metadata"]["annotations"]["compression-operator.io/input"]
    given = json.loads(text)["job"]["spec"]["data"]["evaluation"]["columns"]["features"]
    assert given == EXPANDED
    variables = [item.get("value", "") for item in pod["spec"]["containers"][0]["env"]]
    assert not [value for value in variables if "$" in value]
