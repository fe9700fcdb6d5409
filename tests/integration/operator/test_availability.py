"""Operators are killed, replaced, cut off and restricted; jobs are not affected."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from localcluster.apiserver import APIServer
from tests.integration.chart.helm_release import Helm
from tests.integration.operator.api import Api, Namespace, Refusal, phase_is, wait_equal, wait_for
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import job
from tests.support.operator.builders import summary

INFO = "compression_operator_job_info"
WATCH_EVENTS = 'compression_operator_watch_events_total{resource="compressionjobs"}'
Launch = Callable[..., OperatorProcess]

RANK = {"": 0, "Pending": 1, "Running": 2, "Succeeded": 3, "Failed": 3}
WRITES = ("create", "patch", "update", "delete")


@contextmanager
def kubelet(namespace: Namespace) -> Iterator[None]:
    """Start and end every pod in the namespace while the block runs."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            for pod in namespace.pods():
                with contextlib.suppress(Refusal):  # the pod has gone or changed meanwhile
                    move(pod)

    def move(pod: dict[str, Any]) -> None:
        if pod["status"]["phase"] == "Pending":
            namespace.run_pod(pod["metadata"]["name"])
        elif pod["status"]["phase"] == "Running":
            namespace.end_pod(pod["metadata"]["name"], message=summary("Pass"))

    with background(work, stop):
        yield


@contextmanager
def witness(namespace: Namespace) -> Iterator[list[str]]:
    """Look at all statuses again and again; the list names every one that went back."""
    stop, wrong, last = threading.Event(), list[str](), dict[str, dict[str, Any]]()

    def work() -> None:
        while not stop.wait(0.02):
            for item in namespace.api.items(namespace.path("cpj")):
                name, status = item["metadata"]["name"], item.get("status", {})
                before = last.get(name, {})
                if RANK[status.get("phase", "")] < RANK[before.get("phase", "")]:
                    wrong.append(f"{name}: {before['phase']} -> {status.get('phase')}")
                if before.get("verdict") not in (None, status.get("verdict")):
                    wrong.append(f"{name}: {before['verdict']} -> {status.get('verdict')}")
                last[name] = status

    with background(work, stop):
        yield wrong


@contextmanager
def background(work: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    """Run something beside the block; its error is the block's error."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(work)
        try:
            yield
        finally:
            stop.set()
        running.result()


def ended(namespace: Namespace, count: int) -> list[dict[str, Any]] | None:
    jobs = namespace.api.items(namespace.path("cpj"))
    done = [item for item in jobs if item.get("status", {}).get("phase") in ("Succeeded", "Failed")]
    return jobs if len(done) == count else None


def writes(operator: OperatorProcess) -> float:
    """How many writes about jobs an operator has sent."""
    lines = operator.fetch("/metrics").splitlines()
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in lines
        if line.startswith("compression_operator_api_requests_total")
        and any(f'verb="{verb}"' in line for verb in WRITES)
        and 'resource="leases"' not in line
    )


def test_kills_lose_nothing_and_repeat_nothing(namespace: Namespace, launch: Launch) -> None:
    chance = random.Random(20261124)
    count = 50
    with witness(namespace) as wrong, kubelet(namespace):
        operator = launch("--lease-name=kill-0")
        waiting = [job(name=f"job-{number}") for number in range(count)]
        for round_ in range(1, 21):
            # Jobs come while it is up, while it is down and while it starts, so that no kill finds it idle.
            for manifest in waiting[round_ - 1 :: 20]:
                namespace.apply(manifest)
            time.sleep(chance.uniform(0.3, 1.6))
            operator.kill()
            operator = launch(f"--lease-name=kill-{round_}")
        jobs = wait_for("all jobs end", lambda: ended(namespace, count), seconds=180)
    assert wrong == []
    assert {item["status"]["verdict"] for item in jobs} == {"Pass"}
    assert {item["status"]["childrenCreated"] for item in jobs} == {1}
    assert {item["status"]["retries"] for item in jobs} == {0}
    assert len(namespace.children()) == count
    owners = [child["metadata"]["ownerReferences"][0]["uid"] for child in namespace.children()]
    assert len(set(owners)) == count


def test_restart_without_changes_writes_nothing(namespace: Namespace, launch: Launch) -> None:
    limits = f"--namespace={namespace.name}"  # something may happen to the jobs that other tests left behind
    first = launch("--lease-name=quiet-1", limits)
    for number in range(20):
        namespace.apply(job(name=f"job-{number}"))
    with kubelet(namespace):
        wait_for("all jobs end", lambda: ended(namespace, 20), seconds=180)
    namespace.apply(job(name="waiting"))
    wait_for("all that happened is written", lambda: waits_for_the_scheduler(namespace, "waiting"))
    first.stop()
    versions = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in jobs_of(namespace)}
    second = launch("--lease-name=quiet-2", limits)
    second.wait_leading()
    wait_for("it has looked", lambda: second.metric(looked_at("unchanged")) >= 21)
    assert second.metric(looked_at("changed")) == 0
    assert writes(second) == 0
    assert versions == {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in jobs_of(namespace)}


def waits_for_the_scheduler(namespace: Namespace, name: str) -> bool:
    """Whether a job's status says that its pod waits, and since when its Job counts as active.

    The Job controller creates the pod first and writes the start of the Job later, so these are two writes.
    """
    waits = namespace.condition(name, "Scheduled").get("message", "").endswith("the scheduler")
    return waits and "since" in namespace.status(name).get("activeTime", {})


def looked_at(outcome: str) -> str:
    return f'compression_operator_reconcile_seconds_count{{outcome="{outcome}"}}'


def jobs_of(namespace: Namespace) -> list[dict[str, Any]]:
    return namespace.api.items(namespace.path("cpj"))


def test_standby_takes_over_from_a_dead_or_stopped_leader(namespace: Namespace, launch: Launch) -> None:
    first = launch("--lease-name=pair")
    first.wait_leading()
    second = launch("--lease-name=pair")
    second.wait_ready()
    namespace.apply(job(name="one"))
    wait_for("a child", namespace.children)
    assert second.metric("compression_operator_leader") == 0
    wait_for("the standby sees the job", lambda: second.metric(WATCH_EVENTS))
    assert second.metric("compression_operator_queue_depth") == 0, "no worker would take the job from the queue"
    assert writes(second) == 0
    first.kill()
    namespace.apply(job(name="two"))
    second.wait_leading(seconds=40)
    wait_for("a second child", lambda: len(namespace.children()) == 2)
    third = launch("--lease-name=pair")
    third.wait_ready()
    assert second.stop() == 0
    third.wait_leading(seconds=10)
    assert [item["status"]["childrenCreated"] for item in jobs_of(namespace)] == [1, 1]


def job_series(operator: OperatorProcess, namespace: Namespace) -> list[str]:
    """Return the names of its metrics about single jobs."""
    here = f'namespace="{namespace.name}"'
    lines = [line for line in operator.fetch("/metrics").splitlines() if here in line]
    return [line.partition("{")[0] for line in lines if line.startswith("compression_operator_job_")]


def test_leader_without_its_lease_stops_at_once(namespace: Namespace, launch: Launch, api: Api) -> None:
    operator = launch("--lease-name=stolen")
    operator.wait_leading()
    namespace.apply(job(name="earlier"))
    namespace.run_pod(namespace.pod(), ip="127.0.0.2")
    shown = {INFO, "compression_operator_job_last_progress_timestamp_seconds"}
    wait_equal("its series", lambda: set(job_series(operator, namespace)), shown)
    lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/stolen"
    api.patch(lease, {"spec": {"holderIdentity": "another-replica", "leaseDurationSeconds": 5}})
    wait_for("it stops", lambda: operator.metric("compression_operator_leader") == 0)
    assert job_series(operator, namespace) == [], "it hears no more of the job, which would seem to stand still"
    events = operator.metric(WATCH_EVENTS)
    namespace.apply(job())
    wait_for("it sees the job", lambda: operator.metric(WATCH_EVENTS) > events)
    assert operator.metric("compression_operator_queue_depth") == 0
    api.patch(lease, {"spec": {"renewTime": "2026-11-24T00:00:00.000000Z", "holderIdentity": "another-replica"}})
    assert len(namespace.children()) == 1
    assert operator.fetch("/healthz")
    operator.wait_leading(seconds=30)
    wait_for("another child", lambda: len(namespace.children()) == 2)
    wait_equal("the series of both", lambda: sorted(job_series(operator, namespace)), sorted([*shown, INFO]))


def test_operator_recovers_after_an_api_server_outage(namespace: Namespace, launch: Launch, server: APIServer) -> None:
    operator = launch("--lease-name=outage")
    operator.wait_leading()
    namespace.apply(job(name="before"))
    wait_for("a child", namespace.children)
    server.restart()
    namespace.apply(job(name="after"))
    wait_for("a second child", lambda: len(namespace.children()) == 2, seconds=90)
    with kubelet(namespace):
        wait_for("both end", lambda: ended(namespace, 2), seconds=60)
    assert operator.process.poll() is None


def with_chart_rights(server: APIServer, folder: Path, system: str, *values: str) -> Path:
    """A kubeconfig of the chart's service account, with the chart's RBAC and nothing else."""
    objects = Helm(server.kubeconfig, folder, system).objects(*values)
    wanted = [item for item in objects if item["kind"] == "ServiceAccount" or "rbac" in item["apiVersion"]]
    server.kubectl.run("create", "namespace", system)
    server.kubectl.apply(*wanted)
    account = next(item for item in wanted if item["kind"] == "ServiceAccount")["metadata"]["name"]
    return server.service_account(system, account)


def lease_of(system: str) -> list[str]:
    return [f"--lease-namespace={system}", "--lease-name=demo-compression-operator"]


def test_chart_permissions_suffice_and_exclude_secrets(
    namespace: Namespace, launch: Launch, server: APIServer, tmp_path: Path
) -> None:
    kubeconfig = with_chart_rights(server, tmp_path, "system-wide")
    operator = launch(*lease_of("system-wide"), kubeconfig=kubeconfig)
    operator.wait_leading()
    namespace.apply(job(spec__ttl="1s", spec__suspend=True))
    child = namespace.child()
    phase_is(namespace, "Suspended")
    namespace.api.patch(namespace.path("cpj", "minilm-int8"), {"spec": {"suspend": False}})
    with kubelet(namespace):
        wait_for("it runs, ends and expires", lambda: namespace.job("minilm-int8") is None)
    assert child["spec"]["suspend"] is True
    wait_for("events", lambda: namespace.event_reasons() >= {"Started", "Resumed", "Completed", "Expired"})
    refused = [line for line in operator.fetch("/metrics").splitlines() if 'code="403"' in line]
    assert refused == []
    robot = Api(kubeconfig)
    for path in (f"/api/v1/namespaces/{namespace.name}/secrets", "/api/v1/secrets", namespace.path("pods", "x", "log")):
        with pytest.raises(Refusal, match="403"):
            robot.send("GET", path)
    with pytest.raises(Refusal, match="403"):
        robot.send("POST", namespace.path("pods"), {"metadata": {"name": "x"}, "spec": {}})


def test_operator_of_one_namespace_ignores_others(
    api: Api, namespace: Namespace, launch: Launch, server: APIServer, tmp_path: Path
) -> None:
    api.send("POST", "/api/v1/namespaces", {"metadata": {"name": "not-served"}})
    other = Namespace(api, "not-served")
    kubeconfig = with_chart_rights(server, tmp_path, "system-limited", f"--set=watchNamespaces={{{namespace.name}}}")
    operator = launch(*lease_of("system-limited"), f"--namespace={namespace.name}", kubeconfig=kubeconfig)
    operator.wait_leading()
    other.apply(job())
    namespace.apply(job())
    with kubelet(namespace):
        wait_for("it ends", lambda: ended(namespace, 1))
    assert other.children() == []
    assert "phase" not in other.status("minilm-int8")
    refused = [line for line in operator.fetch("/metrics").splitlines() if 'code="403"' in line]
    assert refused == []
