"""Jobs with several parts on a real kubelet: with a review by another account, and with another measuring runtime."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from tests.e2e.harness import Job, Namespace
from tests.e2e.jobs import BUCKET, approval, objects, text_job, tiny_job

Submit = Callable[[dict[str, Any]], Job]
ROLES = "compression-system:compression-operator"


def account(namespace: Namespace, folder: Path, name: str, *roles: str) -> Namespace:
    """Return kubectl with the token of a service account that has these ClusterRoles in the namespace."""
    namespace("create", "serviceaccount", name)
    for role in roles:
        binding = f"{name}-{role.rsplit(':', 1)[1]}"
        namespace(
            "create", "rolebinding", binding, f"--clusterrole={role}", f"--serviceaccount={namespace.name}:{name}"
        )
    config = yaml.safe_load(namespace.kubectl.kubeconfig.read_text())
    token = namespace("create", "token", name).strip()
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    place = folder / f"{name}.kubeconfig"
    place.write_text(yaml.safe_dump(config))
    return Namespace(Kubectl(place), namespace.name)


def report(store: Any, name: str) -> Any:
    return json.loads(store.get_object(Bucket=BUCKET, Key=f"results/{name}-report/report.json")["Body"].read())


def test_the_author_cannot_approve_and_the_reviewer_can(
    namespace: Namespace, submit: Submit, store: Any, tmp_path: Path
) -> None:
    author = account(namespace, tmp_path, "author", f"{ROLES}:edit", f"{ROLES}:view")
    reviewer = account(namespace, tmp_path, "reviewer", f"{ROLES}:review")
    author.job(tiny_job("reviewed", spec__review="Always"))
    job = Job(namespace, "reviewed")
    try:
        waiting = job.wait_phase("AwaitingReview")
        assert (waiting["verdict"], waiting.get("artifact", "")) == ("Pass", "")
        assert all(pod["status"]["phase"] == "Succeeded" for pod in job.pods())
        assert objects(store, "results/reviewed/") == set()

        me = f"system:serviceaccount:{namespace.name}"
        with pytest.raises(LocalClusterError, match="cannot create resource"):
            author("create", "--filename=-", stdin=approval(job, f"{me}:author"))
        with pytest.raises(LocalClusterError, match="cannot change once the job exists"):
            author("patch", "cpj", "reviewed", "--type=merge", '--patch={"spec":{"review":"Never"}}')
        with pytest.raises(LocalClusterError, match=rf"in the name of the user who creates it; write {me}:reviewer"):
            reviewer("create", "--filename=-", stdin=approval(job, f"{me}:author"))

        # A restarted operator does not change the job.
        version = job.resource["metadata"]["resourceVersion"]
        system = ("--namespace", "compression-system")
        namespace.kubectl.run(*system, "rollout", "restart", "deployment/compression-operator")
        namespace.kubectl.run(*system, "rollout", "status", "deployment/compression-operator", "--timeout=120s")
        assert job.resource["metadata"]["resourceVersion"] == version

        answer = reviewer("create", "--filename=-", stdin=approval(job, f"{me}:reviewer"))
        assert "created" in answer
        done = job.wait_phase("Succeeded")
        assert done["review"]["reviewer"] == f"{me}:reviewer"
        artifact = json.loads(store.get_object(Bucket=BUCKET, Key="results/reviewed/artifact.json")["Body"].read())
        assert artifact["digest"] == waiting["digest"] == done["digest"]
        review = artifact["provenance"]["review"]
        assert (review["reviewer"], review["reason"]) == (f"{me}:reviewer", "agrees with our own figures")
        assert report(store, "reviewed")["review"]["decision"] == "Approve"
        assert {"AwaitingReview", "Reviewed", "Completed"} <= job.events()
    finally:
        namespace("delete", "cpj", "reviewed", "--wait=false")


@pytest.fixture
def serving(namespace: Namespace) -> Iterator[str]:
    """Return the shared runtime with half a CPU, so that the measuring runtime is slower than the compressing one."""
    runtime = namespace.kubectl.read("get", "cprt", "cpu-shared")
    spec = runtime["spec"]
    spec["resources"]["requests"]["cpu"] = spec["resources"]["limits"]["cpu"] = "500m"
    namespace.apply(
        {key: runtime[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": "serving"}, "spec": spec}
    )
    yield "serving"
    namespace.kubectl.run("delete", "cprt", "serving")


def test_the_verdict_is_measured_on_the_sla_runtime(submit: Submit, serving: str, store: Any) -> None:
    """A throughput that the model reaches on a whole CPU is too high for half a shared CPU."""
    # A limit of 1 is decided at the first look, after four blocks.
    long = {"sequenceLength": 16, "timeLimit": "20s"}
    alone = {"spec__benchmark": long, "spec__runtime": "cpu"}
    here = submit(text_job("measured-here", spec__sla={"throughput": {"min": "1"}}, **alone))
    here.wait_phase("Succeeded")
    reached = report(store, "measured-here")["compressed"]["throughputInterval"]
    wanted = f"{reached['value']:.3f}"
    there = submit(text_job("measured-there", spec__sla={"throughput": {"min": wanted}, "runtime": serving}, **alone))
    status = there.wait_end(seconds=600)
    assert (status["verdict"], there.condition("Failed")["reason"]) == ("Fail", "SLAViolated"), there.diagnosis()
    parts = {child["metadata"]["labels"]["compression-operator.io/part"]: child for child in there.children()}
    limits = {
        part: child["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"]
        for part, child in parts.items()
    }
    assert limits == {"Compress": "1", "Measure": "500m"}
    assert all(stage["reused"] for stage in report(store, "measured-there")["stages"])
