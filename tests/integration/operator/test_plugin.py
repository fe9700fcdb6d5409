"""`kubectl compress` against a real API server, the real operator and the real kubectl."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_compress import cluster as clusters
from kubectl_compress.cluster import Cluster, Selection
from kubectl_compress.downloads import pod_command, report_location
from kubectl_compress.errors import TimedOut
from kubectl_compress.following import Follower
from kubectl_compress.job import Job
from kubectl_compress.kubectl import Kubectl
from localcluster import s3, tools
from localcluster.apiserver import APIServer
from localcluster.command import run
from tests.integration.operator.api import Namespace, phase_is, wait_for
from tests.integration.operator.plugin import Plugin, write_scripts
from tests.support.manifests import job
from tests.support.operator.builders import summary

pytestmark = pytest.mark.usefixtures("operator")

NAME = "minilm-int8"
DIGEST = "sha256:" + "a" * 64
CHART = Path(__file__).parents[3] / "charts" / "compression-operator"
GROUP = "compression-operator.io"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scripts(tmp_path_factory.mktemp("scripts"))


@pytest.fixture
def plugin(server: APIServer, scripts: Path, namespace: Namespace) -> Plugin:
    """The plugin of the cluster's administrator."""
    return Plugin(scripts, server.kubeconfig, namespace.name)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """Jobs in a file, without a namespace of their own."""

    def write(*jobs: dict[str, Any]) -> str:
        place = tmp_path / "jobs.yaml"
        place.write_text(yaml.safe_dump_all([placeless(item) for item in jobs]))
        return str(place)

    return write


def placeless(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "namespace"}
    return manifest | {"metadata": metadata}


def end(namespace: Namespace, message: str = "", code: int = 0, reason: str = "") -> None:
    """Be the kubelet that runs the namespace's one pod to its end."""
    pod = namespace.pod()
    namespace.run_pod(pod)
    wait_for("it runs", lambda: namespace.status(NAME).get("phase") == "Running")
    namespace.end_pod(pod, code=code, message=message, reason=reason)


def test_submit_follow_and_report(plugin: Plugin, namespace: Namespace, file: Callable[..., str]) -> None:
    watch = plugin.start("submit", file(job()), "--watch", "--timeout=90s")
    end(namespace, summary("Pass"))
    out, err = watch.communicate(timeout=60)
    lines = out.splitlines()
    assert watch.returncode == 0, err
    assert lines[0] == f"compressionjob.{GROUP}/{NAME} created"
    assert any(line.startswith(f"{NAME}  Running") for line in lines)
    assert f"{NAME}  Succeeded  Pass  all 3 limits hold" in lines
    assert f"next: see the report: kubectl compress report {NAME} -n {namespace.name}" in lines
    report = plugin.run("report", NAME)
    assert report.code == 0
    assert ["size", "91.0", "MB", "22.8", "MB", "-75.0", "%", "better"] in [
        line.split() for line in report.out.splitlines()
    ]
    assert json.loads(plugin.run("status", NAME, "-o", "json").out)["status"]["verdict"] == "Pass"
    assert plugin.run("status", "-o", "name").out == f"compressionjob.{GROUP}/{NAME}\n"
    assert plugin.run("status", NAME, "--wait").code == 0
    assert plugin.run("status", "--wait").code == 0


def test_one_invalid_manifest_prevents_all_creations(
    plugin: Plugin, namespace: Namespace, file: Callable[..., str]
) -> None:
    done = plugin.run("submit", file(job("good"), job("bad", spec__sla__latency__max="20")))
    assert done.code == 2
    assert "spec.sla.latency.max: '20' is not valid: must be a duration" in done.err
    assert "nothing was created" in done.err
    assert plugin.run("submit", file(job()), "--dry-run").out.endswith("created (server dry run)\n")
    elsewhere = plugin.run("submit", "-", stdin=yaml.safe_dump(job()))
    assert (elsewhere.code, f"its namespace is default, and --namespace says {namespace.name}" in elsewhere.err) == (
        2,
        True,
    )
    assert namespace.job("good") is None
    assert namespace.job(NAME) is None


def test_taken_name_shows_the_differences(plugin: Plugin, namespace: Namespace, file: Callable[..., str]) -> None:
    made = namespace.apply(job())
    here = {"spec__output": made["spec"]["output"]}
    same = plugin.run("submit", file(job(**here)))
    assert same.code == 1
    assert "exists already with this very spec" in same.err
    other = plugin.run("submit", file(job(**here, spec__sla__latency__max="30ms")))
    assert "spec.sla.latency.max: 20ms there, 30ms here" in other.err
    assert f"--name {NAME}-2" in other.err
    assert plugin.run("submit", file(job(**here, spec__ttl="1h"))).err.count("kubectl apply") == 1
    assert plugin.run("submit", "-", "--name=another", "-o", "name", stdin=yaml.safe_dump(placeless(job()))).out == (
        f"compressionjob.{GROUP}/another\n"
    )
    generated = job()
    generated["metadata"] = {"generateName": "minilm-"}
    assert plugin.run("submit", file(generated)).out.startswith(f"compressionjob.{GROUP}/minilm-")


def test_server_refusals_are_quoted(plugin: Plugin, file: Callable[..., str]) -> None:
    elsewhere = Plugin(plugin.scripts, plugin.kubeconfig, "nowhere")
    done = elsewhere.run("submit", file(job()))
    assert (done.code, 'namespaces "nowhere" not found' in done.err) == (1, True)
    done = plugin.run("status", "none")
    assert (done.code, 'compressionjobs.compression-operator.io "none" not found' in done.err) == (1, True)
    done = plugin.run("status", "--as=bob")
    assert (done.code, 'User "bob" cannot list' in done.err) == (1, True)
    done = plugin.run("status", "--server=https://127.0.0.1:1")
    assert (done.code, "refused" in done.err) == (1, True)


def test_retry_creates_a_new_job(plugin: Plugin, namespace: Namespace) -> None:
    manifest = job()
    manifest["metadata"]["labels"] = {"team": "search"}
    namespace.apply(manifest)
    early = plugin.run("retry", NAME)
    assert (early.code, "has not ended" in early.err) == (2, True)
    end(namespace, code=137, reason="OOMKilled")
    waited = plugin.run("status", NAME, "--wait", "--timeout=60s")
    assert (waited.code, "failed: OutOfMemory" in waited.out) == (4, True)
    again = plugin.run("retry", NAME, "--set", "spec.deadline=2h", "--set", "spec.retries=1", "-o", "json")
    assert again.code == 0, again.err
    created = json.loads(again.out)
    assert created["metadata"]["name"] == f"{NAME}-retry-1"
    assert created["metadata"]["labels"] == {"team": "search"}
    assert created["metadata"]["annotations"] == {f"{GROUP}/retry-of": NAME}
    assert (created["spec"]["deadline"], created["spec"]["retries"]) == ("2h", 1)
    old = (namespace.job(NAME) or {})["spec"]
    assert {key: value for key, value in created["spec"].items() if key not in ("author", "deadline", "retries")} == {
        key: value for key, value in old.items() if key != "retries"
    }
    assert created["spec"]["author"] == "admin"
    assert plugin.run("retry", NAME, "-o", "name").out == f"compressionjob.{GROUP}/{NAME}-retry-2\n"
    compared = plugin.run("compare", NAME, f"{NAME}-retry-1").out.splitlines()
    assert ["deadline", "unset", "2h"] in [line.split() for line in compared]


@pytest.fixture
def policy(server: APIServer, namespace: Namespace) -> Iterator[None]:
    """The chart's admission policy, for the namespace of the test: other tests review in other people's names."""
    command = [tools.helm(), "template", "x", CHART, "--show-only", "templates/reviewpolicy.yaml"]
    policy, binding = yaml.safe_load_all(run(command))
    chosen = {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}
    binding["spec"]["matchResources"] = {"namespaceSelector": chosen}
    server.kubectl.apply(policy, binding)
    yield
    for item in (policy, binding):
        server.kubectl.run("delete", item["kind"], item["metadata"]["name"])


def user(server: APIServer, namespace: Namespace, name: str, *rules: tuple[str, list[str]]) -> Path:
    granted = [{"apiGroups": [GROUP], "resources": [resource], "verbs": verbs} for resource, verbs in rules]
    server.grant(name, granted, namespace.name)
    return server.user(name)


@pytest.mark.usefixtures("policy")
def test_reviewer_is_the_authenticated_user(server: APIServer, namespace: Namespace, plugin: Plugin) -> None:
    see = ("compressionjobs", ["get", "list", "watch"])
    ada = user(server, namespace, "ada@example.com", ("compressionjobs", ["get", "create"]))
    rita = user(server, namespace, "rita@example.com", see, ("compressionreviews", ["create"]))
    namespace.apply(job(spec__review="Always"))
    author = Plugin(plugin.scripts, ada, namespace.name)
    reviewer = Plugin(plugin.scripts, rita, namespace.name)
    early = reviewer.run("approve", NAME, "--reason=x", "--yes")
    assert (early.code, "does not wait for review" in early.err) == (2, True)
    end(namespace, summary("Pass", published=False, held=True, digest=DIGEST, artifact=""))
    assert plugin.run("status", NAME, "--wait", "--timeout=60s").code == 5
    assert [line.split("\t")[0] for line in plugin.complete("approve", f"--namespace={namespace.name}", "")] == [
        NAME,
        ":4",
    ]
    denied = author.run("approve", NAME, "--reason=mine", "--yes")
    assert (denied.code, "cannot create resource" in denied.err) == (1, True)
    unconfirmed = reviewer.run("approve", NAME, "--reason=read it")
    assert (unconfirmed.code, "add --yes" in unconfirmed.err) == (2, True)
    refused = reviewer.talk("approve", NAME, "--reason=read it", answer="n", until="[y/N]")
    assert (refused.code, "nothing was done" in refused.out) == (1, True)
    assert "rita@example.com" in refused.out
    assert DIGEST in refused.out
    dry = reviewer.run("approve", NAME, "--reason=read it", "--dry-run")
    assert (dry.code, dry.out.endswith("created (server dry run)\n")) == (0, True)
    assert namespace.status(NAME)["phase"] == "AwaitingReview"
    done = reviewer.talk("approve", NAME, "--reason=read it", answer="y", until="[y/N]")
    assert (done.code, f"{NAME} is approved; it is being published" in done.out) == (0, True)
    review = namespace.status(NAME)["review"]
    assert (review["reviewer"], review["decision"], review["reason"]) == ("rita@example.com", "Approve", "read it")
    late = reviewer.run("reject", NAME, "--reason=no", "--yes")
    assert (late.code, "was approved by rita@example.com: read it" in late.err) == (2, True)
    namespace.api.send("DELETE", namespace.path("cpj", NAME))
    wait_for("the review goes with the job", lambda: not namespace.api.items(namespace.path("cprv")))


def test_a_rejected_job_fails(namespace: Namespace, plugin: Plugin) -> None:
    namespace.apply(job(spec__review="Always"))
    end(namespace, summary("Pass", published=False, held=True, digest=DIGEST, artifact=""))
    phase_is(namespace, "AwaitingReview")
    done = plugin.run("reject", NAME, "--reason=slices look wrong", "--yes")
    assert (done.code, f"{NAME} is rejected; nothing is published" in done.err) == (0, True)
    waited = plugin.run("status", NAME, "--wait", "--timeout=60s")
    assert waited.code == 3
    assert "✗ rejected: admin: slices look wrong" in waited.out
    assert "review      rejected by admin" in plugin.run("report", NAME).out


def test_many_jobs_are_read_in_chunks_and_followed_until_all_have_ended(
    namespace: Namespace, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "CHUNK", 3)
    names = [f"job-{number}" for number in range(7)]
    for name in names:
        namespace.apply(job(name, spec__runtime="not-there"))
    cluster = Cluster(Kubectl((f"--kubeconfig={plugin.kubeconfig}",), namespace.name))
    pages = list(cluster.pages(Selection(namespace.name)))
    assert [len(page.jobs) for page in pages] == [3, 3, 1]
    for name in names:
        phase_is(namespace, "Pending", name)
    rows = [line.split()[:3] for line in plugin.run("status").out.splitlines()[1:]]
    assert rows == [[name, "Pending", "RuntimeNotFound"] for name in names]
    assert plugin.run("status", "--phase=Failed").err == f"there are no such jobs in the namespace {namespace.name}\n"
    watch = plugin.start("status", "--watch", "--timeout=90s")
    assert watch.stdout is not None
    assert sorted(watch.stdout.readline().split()[0] for _ in names) == names
    for name in names:
        namespace.api.send("DELETE", namespace.path("cpj", name))
    out, _ = watch.communicate(timeout=60)
    assert watch.returncode == 0
    assert sorted(line for line in out.splitlines() if line.endswith("deleted")) == [f"{n}  deleted" for n in names]


def test_a_job_is_followed_through_a_restart_of_the_api_server(
    server: APIServer, namespace: Namespace, plugin: Plugin
) -> None:
    namespace.apply(job())
    errors: list[str] = []
    cluster = Cluster(Kubectl((f"--kubeconfig={plugin.kubeconfig}",), namespace.name))
    follower = Follower(cluster, Selection(namespace.name, NAME), timeout=120, connection_error=errors.append)
    seen: list[str] = []
    first = threading.Event()

    def follow() -> None:
        for changes in follower.changes():
            seen.extend(change.job.phase for change in changes)
            first.set()
            if seen[-1] == "Running":
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    assert first.wait(30)
    server.restart()
    wait_for("it was noticed", lambda: errors)
    namespace.run_pod(namespace.pod())
    thread.join(60)
    assert not thread.is_alive()
    assert seen[-1] == "Running"
    assert errors[-1] == ""


def test_wait_ends_with_the_timeout(namespace: Namespace, plugin: Plugin) -> None:
    namespace.apply(job(spec__runtime="not-there"))
    cluster = Cluster(Kubectl((f"--kubeconfig={plugin.kubeconfig}",), namespace.name))
    with pytest.raises(TimedOut):
        for _ in Follower(cluster, Selection(namespace.name, NAME), timeout=1).changes():
            pass
    assert plugin.run("status", NAME, "--wait", "--timeout=1s").code == 124


def test_kubectl_completes_the_plugin(namespace: Namespace, plugin: Plugin) -> None:
    namespace.apply(job())
    phase_is(namespace, "Pending")
    here = f"--namespace={namespace.name}"
    assert [line.split("\t")[0] for line in plugin.complete("st")] == ["status", ":4"]
    assert plugin.complete("status", here, "mini") == [f"{NAME}\tPending", ":4"]
    assert plugin.complete("retry", here, "") == [":4"]
    assert namespace.name in plugin.complete("status", "-n", "")
    assert plugin.complete("submit", "") == ["yaml", "yml", "json", ":8"]
    assert "spec.deadline=" in plugin.complete("retry", "x", "--set", "")


def test_a_report_is_fetched_with_the_users_own_keys(namespace: Namespace, plugin: Plugin, tmp_path: Path) -> None:
    with s3.start() as store:
        folder = store.folder / "models" / "minilm-int8-report"
        folder.mkdir(parents=True)
        (folder / "report.html").write_text("<!doctype html><title>a report</title>")
        namespace.apply(job(spec__storage={"secretName": "s3", "endpoint": "http://unreachable.example"}))
        end(namespace, summary("Pass", report="s3://models/minilm-int8-report/report.json"))
        phase_is(namespace, "Succeeded")
        target, endpoint = tmp_path / "report.html", f"--endpoint={store.endpoint}"
        anonymous = plugin.run("report", NAME, f"--save={target}", endpoint, HOME=str(tmp_path))
        assert (anonymous.code, "the job's Secret is not read" in anonymous.err) == (1, True)
        keys = {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}
        done = plugin.run("report", NAME, f"--save={target}", endpoint, **keys)
        assert done.code == 0, done.err
        assert target.read_text() == "<!doctype html><title>a report</title>"
        missing = plugin.run("report", NAME, f"--save={tmp_path / 'r.md'}", endpoint, **keys)
        assert (missing.code, "there is no s3://models/minilm-int8-report/report.md" in missing.err) == (1, True)
        wrong = keys | {"AWS_SECRET_ACCESS_KEY": "wrong"}
        refused = plugin.run("report", NAME, f"--save={target}", endpoint, **wrong)
        assert (refused.code, "your own keys are used" in refused.err) == (1, True)


def test_the_pod_that_reads_a_claim_passes_the_restricted_standard(
    server: APIServer, namespace: Namespace, tmp_path: Path
) -> None:
    enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace.api.patch(f"/api/v1/namespaces/{namespace.name}", {"metadata": {"labels": enforce}})
    raw = job() | {"status": {"report": "pvc://results/minilm-int8-report/report.json"}}
    raw["metadata"] |= {"namespace": namespace.name}
    printing = pod_command(report_location(Job(raw)), ".html").split(">")[0]
    command = printing.replace("--rm --stdin --quiet", "--dry-run=server")
    script = tmp_path / "read.sh"
    script.write_text(command.replace("kubectl", f"{tools.kubectl()} --kubeconfig={server.kubeconfig}", 1))
    assert "pod/read-report created (server dry run)" in run(["bash", "-c", script.read_text().replace("\\\n", " ")])
