"""Operators with the chart's permissions, jobs with all results, a real run, Prometheus and Alertmanager."""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from compression_runner.pipeline.reporting import summarize
from compression_runner.storage.directory import DirectoryStore
from compressionjob.exit_codes import ExitCode
from compressionjob.pod_interface import PORT
from compressionjob.report import Report
from dashboards.promql import jobs
from localcluster import apiserver, ports
from localcluster.apiserver import APIServer
from tests.integration.chart.helm_release import Helm
from tests.integration.observability import alertmanager, prometheus, runner_run
from tests.integration.observability.prometheus import Prometheus
from tests.integration.observability.runner_run import Telemetry
from tests.integration.operator import operators
from tests.integration.operator.api import Api, Namespace, wait_equal, wait_for
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import job
from tests.support.operator.builders import summary, violation
from tests.support.webhook_receiver import WebhookReceiver, receiving

TEAM = "team"
MEASURED = "measured"
"""The CompressionJob of the real run."""
RECEIVER = "ops"
"""The receiver of that job's notifications."""
ENDS: dict[str, tuple[int, str, str]] = {
    "passes": (0, "", summary("Pass")),
    "passes-too": (0, "", summary("Pass")),
    "violates": (0, "", summary("Fail")),
    "is-unclear": (0, "", summary("Inconclusive")),
    "needs-memory": (137, "OOMKilled", ""),
    "has-no-model": (2, "", violation("InvalidInput", "no such key", field="spec.model.source")),
}
"""Jobs whose pods end -> exit code, the kubelet's reason, termination message."""
PHASES: dict[str, float] = {"Succeeded": 4, "Failed": 4, "Pending": 2, "Running": 1, "AwaitingReview": 1}
"""Number of jobs in each phase at the end."""


@dataclass(frozen=True)
class World:
    """The test environment after all jobs have run."""

    prometheus: Prometheus
    receiver: WebhookReceiver
    operators: list[OperatorProcess]
    namespace: Namespace
    report: Report
    started: float
    calm: float
    """Time when all jobs except the last had ended, before the outage."""


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("observability")
    with (
        apiserver.start(controllers=("job", "garbage-collector", "namespace"), service_accounts=True) as server,
        receiving() as receiver,
        alertmanager.start(receiver) as manager,
        receiving() as hook,
    ):
        helm = Helm(server.kubeconfig, folder)
        helm.install(
            "compression-operator",
            "--set-string=runtimes.cpu.pricePerHour=3.6",
            "--set=runtimes.cpu.measuring.isolation=Shared",  # each job in one pod
        )
        account = server.service_account(helm.namespace, "compression-operator")
        namespace = _namespace(Api(server.kubeconfig))
        lease = (f"--lease-namespace={helm.namespace}", "--lease-name=compression-operator")
        receivers = folder / "receivers.json"  # JSON is YAML
        receivers.write_text(json.dumps({"receivers": {RECEIVER: {"url": hook.url, "timeout": "2s"}}}))
        with (
            _operators(account, folder, *lease, f"--notifications={receivers}") as replicas,
            prometheus.start(_scrapes(replicas), manager) as metrics,
        ):
            started = time.time()
            wait_for("both are scraped", lambda: metrics.number('sum(up{job="compression-operator"})') == 2)
            _live_and_expire(namespace)
            _try_again(namespace)
            _end_jobs(namespace, metrics)
            _wait_for_a_review(namespace)
            calm = time.time()
            with runner_run.serving() as telemetry:
                namespace.apply(job(MEASURED, spec__deadline="1h", spec__budget="100", spec__notifications=[RECEIVER]))
                namespace.run_pod(namespace.pod(), ip=runner_run.ADDRESS)
                wait_for("it runs", lambda: namespace.status(MEASURED).get("phase") == "Running")
                _meet_outages(server, replicas, telemetry)
                report = _run_a_job(namespace, telemetry, folder)
                _leave_jobs_going_on(namespace)
                wait_equal("all is scraped", lambda: metrics.by_label(jobs("phase"), "phase"), PHASES)
                wait_for("its figures are scraped", lambda: metrics.instant("compression_operator_job_latency_seconds"))
                yield World(metrics, receiver, replicas, namespace, report, started, calm)


@contextmanager
def _operators(account: Path, folder: Path, *arguments: str) -> Iterator[list[OperatorProcess]]:
    """Run two replicas, one of which is the leader."""
    replicas = [operators.start(account, folder, *arguments, f"--port={ports.free()}") for _ in range(2)]
    try:
        for replica in replicas:
            replica.wait_ready()
        wait_for("a leader", lambda: any(item.metric("compression_operator_leader") == 1 for item in replicas))
        yield replicas
    finally:
        for replica in replicas:
            replica.stop()


def _scrapes(replicas: list[OperatorProcess]) -> list[dict[str, Any]]:
    """Return scrape configurations like those of the chart's ServiceMonitor and PodMonitor."""
    service = {"targets": [f"127.0.0.1:{replica.port}" for replica in replicas], "labels": {"namespace": "system"}}
    pod = {"targets": [f"{runner_run.ADDRESS}:{PORT}"], "labels": {"namespace": TEAM, "job": MEASURED}}
    return [
        {"job_name": "compression-operator", "honor_labels": True, "static_configs": [service]},
        {"job_name": "runners", "static_configs": [pod]},
    ]


def _namespace(api: Api) -> Namespace:
    api.send("POST", "/api/v1/namespaces", {"metadata": {"name": TEAM}})
    wait_for("its service account", lambda: api.get(f"/api/v1/namespaces/{TEAM}/serviceaccounts/default"))
    return Namespace(api, TEAM)


def _live_and_expire(namespace: Namespace) -> None:
    """Run a job that is suspended and resumed, ends, and is deleted by the operator, to use all of its permissions."""
    namespace.apply(job("expires", spec__ttl="1s"))
    namespace.run_pod(namespace.pod(), ip="127.0.0.2")
    wait_for("it runs", lambda: namespace.status("expires").get("phase") == "Running")
    for suspended in (True, False):
        namespace.api.patch(namespace.path("cpj", "expires"), {"spec": {"suspend": suspended}})
        wait_for("the child follows", partial(_is_suspended, namespace, suspended))
    wait_for("the first pod is gone", lambda: len(namespace.pods()) == 1)
    namespace.end_pod(namespace.pod(), message=summary("Pass"))
    wait_for("it expires", lambda: namespace.job("expires") is None)
    wait_for("nothing is left", lambda: not namespace.children() and not namespace.pods())


def _is_suspended(namespace: Namespace, suspended: bool) -> bool:
    return bool(namespace.child()["spec"]["suspend"]) is suspended


def _try_again(namespace: Namespace) -> None:
    """Run a job whose first attempt fails because its store is unreachable."""
    namespace.apply(job("comes-back"))
    first = namespace.pod()
    namespace.run_pod(first, ip="127.0.0.2")
    namespace.end_pod(first, code=ExitCode.STORAGE, message=violation("StorageUnavailable", "the store is away"))
    second = namespace.pod(other_than=first)
    namespace.run_pod(second, ip="127.0.0.2")
    space = {"checkpointBytes": 4096, "reportBytes": 2048, "resultBytes": 1024}
    namespace.end_pod(second, message=summary("Pass", space=space))
    wait_for("it passes", lambda: namespace.status("comes-back").get("phase") == "Succeeded")


def _end_jobs(namespace: Namespace, metrics: Prometheus) -> None:
    """End jobs one after the other, each after Prometheus has scraped the previous one, so that counters increase."""
    for done, (name, (code, reason, message)) in enumerate(ENDS.items(), start=2):
        namespace.apply(job(name))
        pod = namespace.pod()
        namespace.run_pod(pod, ip="127.0.0.2")  # no server reports progress there
        namespace.end_pod(pod, code=code, reason=reason, message=message)
        wait_for(f"{name} has ended", partial(_has_ended, metrics, done))


def _wait_for_a_review(namespace: Namespace) -> None:
    namespace.apply(job("is-reviewed", spec__review="Always"))
    pod = namespace.pod()
    namespace.run_pod(pod, ip="127.0.0.2")
    digest = f"sha256:{'a' * 64}"
    namespace.end_pod(pod, message=summary("Pass", published=False, held=True, digest=digest, artifact=""))
    wait_for("it waits", lambda: namespace.status("is-reviewed").get("phase") == "AwaitingReview")


def _has_ended(metrics: Prometheus, count: int) -> bool:
    ended = jobs("phase", '{phase=~"Succeeded|Failed"}')
    return metrics.number(f"sum({ended})") == count


def _run_a_job(namespace: Namespace, telemetry: Telemetry, folder: Path) -> Report:
    """Run a job. The operator polls its progress while it runs, and reads its summary at the end."""
    runner_run.write_files(folder)
    report = telemetry.run(runner_run.manifest(MEASURED, folder), folder)
    wait_for("its progress", lambda: namespace.status(MEASURED).get("progress"))
    reports = DirectoryStore(str(folder), folder, "a test")
    namespace.end_pod(namespace.pod(), message=summarize(report, reports).to_message())
    wait_for("its end", lambda: namespace.status(MEASURED).get("completionTime"))
    return report


def _meet_outages(server: APIServer, replicas: list[OperatorProcess], telemetry: Telemetry) -> None:
    """Restart the API server while the operator has progress to write, until a reconcile has failed once."""
    ended = threading.Event()

    def report_progress() -> None:
        for title in itertools.cycle(("warming up", "warm")):
            with telemetry.progress.phase(title):
                if ended.wait(0.1):
                    return

    def has_failed() -> bool:
        server.restart()
        return any("reconcile_errors_total{" in replica.fetch("/metrics") for replica in replicas)

    reporter = threading.Thread(target=report_progress)
    reporter.start()
    try:
        wait_for("a reconcile that fails", has_failed)
    finally:
        ended.set()
        reporter.join()


def _leave_jobs_going_on(namespace: Namespace) -> None:
    """Create two jobs that wait, and one that runs on other hardware."""
    namespace.apply(job("finds-no-node"))
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    pod = namespace.pod()
    namespace.set_pod(pod, phase="Pending", conditions=[unschedulable])
    namespace.apply(job("finds-no-runtime", spec__runtime="quantum"))
    namespace.apply(job("has-a-gpu", spec__runtime="nvidia-gpu"))
    namespace.run_pod(namespace.pod(other_than=pod), ip="127.0.0.2")
