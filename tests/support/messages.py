"""Messages for wrong manifests and for situations in a cluster: ``python -m tests.support.messages`` writes the page.

tests/wrong_jobs_server.json has the API server's responses; ``--server`` records them again from a real one.
"""

import copy
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import yaml

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.child import ChildRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.store import StoreRecord
from compression_runner.commands.manifest import read_manifest
from compression_runner.errors import RunnerError
from compressionjob.crd import definitions
from compressionjob.errors import InvalidSpec
from compressionjob.runtime import CompressionRuntimeSpec
from kubectl_compress import manifests as files
from kubectl_compress.advice import advice
from kubectl_compress.display.console import PlainConsole
from kubectl_compress.display.terminal import Terminal
from kubectl_compress.errors import Invalid
from kubectl_compress.job import Job
from kubectl_compress.kubectl import error_of
from kubectl_compress.runtimes import require_runtimes
from localcluster import apiserver, tools
from tests.support.manifests import REMOVE, TESTS, job, set_field
from tests.support.operator import builders
from tests.support.operator.builders import child, ended_pod, failed, pod, violation
from tests.support.operator.raw import raw_store

SERVER: Final = TESTS / "wrong_jobs_server.json"

_LISTED: Final = re.compile(r'(supported values: "[^"]*", "[^"]*").*')

RUNTIMES: Final = {
    "cpu": CompressionRuntimeSpec.model_validate({"image": "runner:1"}),
    "cpu-large": CompressionRuntimeSpec.model_validate({"image": "runner:1", "resources": {"requests": {"cpu": "16"}}}),
}


@dataclass(frozen=True)
class Wrong:
    """A wrong manifest: its error in short, and the whole file."""

    name: str
    shown: str
    text: str
    manifest: dict[str, Any] | None


def wrong_jobs() -> list[Wrong]:
    """Return every wrong manifest of the table."""
    cases = []
    for number, case in enumerate(yaml.safe_load((TESTS / "wrong_jobs.yaml").read_text()), start=1):
        if "text" in case:
            cases.append(Wrong(case["name"], case["text"].replace("\n", "⏎").replace("\t", "→"), case["text"], None))
            continue
        manifest = job(f"wrong-{number}")
        for path, value in copy.deepcopy(case["set"]).items():
            set_field(manifest, path, REMOVE if value == "<remove>" else value)
        shown = "; ".join(
            f"no {path}" if value == "<remove>" else f"{path}: {json.dumps(value)}"
            for path, value in case["set"].items()
        )
        cases.append(Wrong(case["name"], shown, yaml.safe_dump(manifest), manifest))
    return cases


def of_submit(wrong: Wrong) -> str:
    """Return the output of ``kubectl compress submit`` with the runtimes RUNTIMES in the cluster; "" if it accepts."""
    output = io.StringIO()
    console = PlainConsole(file=output, width=2000, highlight=False, markup=False, emoji=False)
    terminal = Terminal(console, console, interactive=False)
    with _file(wrong.text) as path:
        try:
            manifests = files.read([path])
            for problem in manifests.problems:
                terminal.explain(problem)
            for manifest in manifests.jobs:
                require_runtimes(manifest, RUNTIMES)
            if not manifests.jobs and not manifests.problems:
                raise Invalid(f"there is no CompressionJob in {path}", "name a file with one")
        except Invalid as error:
            terminal.explain(error)
    lines = output.getvalue().splitlines()
    # The first line of a manifest's problems states only that it is not valid.
    kept = lines[1:] if len(lines) > 1 and "is not a valid CompressionJob" in lines[0] else lines
    return "\n".join(line.strip() for line in kept).replace(path, "job.yaml")


def of_plan(wrong: Wrong) -> str:
    """Return the error of ``compression-runner plan`` for a manifest, before it reads the model; "" without one."""
    with _file(wrong.text) as path:
        try:
            read_manifest(Path(path))
        except InvalidSpec as error:
            return "\n".join(str(problem) for problem in error.problems)
        except RunnerError as error:
            return f"{error.field}: {error.problem}\nto do: {error.remedy}"
    return ""


@contextmanager
def _file(text: str) -> Iterator[str]:
    """Yield the path of a file with a manifest."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "job.yaml")
        path.write_text(text)
        yield str(path)


@dataclass(frozen=True)
class Situation:
    """A state of a job in the cluster: reason and message of its status, and the plugin's next step."""

    name: str
    reason: str
    message: str
    advice: str


def _waiting(reason: str, message: str = "") -> PodRecord:
    return pod(state={"waiting": {"reason": reason, "message": message}})


def _unschedulable(message: str) -> PodRecord:
    return pod(conditions=(("PodScheduled", "False", "Unschedulable", message),))


def _died(code: int, message: str = "", reason: str = "") -> tuple[ChildRecord, PodRecord]:
    return failed("PodFailurePolicy", failed=1), ended_pod(code=code, message=message, reason=reason)


def situations() -> Iterator[Situation]:
    """Yield every situation of the table."""
    active = child(active=1)
    for name, waiting in {
        "the Secret is missing": _waiting("CreateContainerConfigError", 'secret "s3" not found'),
        "the Secret lacks a key": _waiting(
            "CreateContainerConfigError", "couldn't find key AWS_ACCESS_KEY_ID in Secret default/s3"
        ),
        "the image does not exist": _waiting("ErrImagePull", 'failed to resolve reference "acme/runner:9": not found'),
        "the registry requires a login": _waiting("ErrImagePull", "pull access denied for acme/runner: unauthorized"),
        "the image's name is wrong": _waiting("InvalidImageName", 'couldn\'t parse image name "acme//runner"'),
        "the image is not on the node": _waiting("ErrImageNeverPull", 'Container image "runner:1" is not present'),
        "no node has room": _unschedulable("0/3 nodes are available: 3 Insufficient memory."),
        "no node has a GPU": _unschedulable("0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
        "a claim is missing": _unschedulable('persistentvolumeclaim "models" not found'),
    }.items():
        yield _situation(name, child=active, pods=(waiting,))
    yield _situation("the runtime is missing", without_runtime=True)
    yield _situation("the budget's runtime has no price", builders.job(spec__budget="5"))
    own = {"team-a": StoreRecord.of(raw_store())}
    in_store = {"spec__storage": {"store": "team-a"}}
    yield _situation("a Secret where the namespace has stores", stores=own)
    yield _situation("a store that does not exist", builders.job(spec__storage={"store": "team-b"}), stores=own)
    elsewhere = builders.job(**in_store, spec__model__source="s3://others/minilm")
    yield _situation("a location that its store does not allow", elsewhere, stores=own)
    over = builders.job(**in_store, spec__output__destination="s3://data/minilm")
    yield _situation("a result where its store allows only reading", over, stores=own)
    yield _situation("files outside the runtime's volumes", builders.job(spec__model__source="file:///etc/model"))
    for name, (ended, last) in {
        "too little memory": _died(137, reason="OOMKilled"),
        "the keys are refused": _died(2, _refused()),
        "the stage does not fit the model": _died(5, violation("BadRecipe", "it has no convolutions")),
        "the disk is full": _died(7),
        "the pod was killed": _died(137),
    }.items():
        yield _situation(name, child=ended, pods=(last,))
    yield _situation(
        "the object store does not answer",
        child=failed("BackoffLimitExceeded", failed=4),
        pods=(ended_pod(code=4, message=violation("StorageUnavailable", "the object store does not answer")),),
    )
    yield _situation(
        "an unexpected error, once", builders.job(spec__retries=0),
        child=failed("BackoffLimitExceeded", failed=1), pods=(ended_pod(code=1),),
    )  # fmt: skip
    yield _situation("the deadline has passed", builders.job(spec__deadline="1h"), child=failed("DeadlineExceeded"))
    yield _situation("no pod is created (a quota, an admission policy)", child=child(), now=builders.after(31))
    yield _situation("its queue holds it", child=child(queue="ml", suspend=True))
    yield _situation("its user holds it", builders.job(spec__suspend=True), child=child(suspend=True))
    for name, verdict in {"a limit is broken": "Fail", "the measurement cannot decide": "Inconclusive"}.items():
        start = "1 limit is broken" if verdict == "Fail" else "the measurement cannot decide 1 limit"
        sentence = f"{start}: latency is 30.7ms, limit at most 20ms"
        last = ended_pod(message=builders.summary(verdict, sentence=sentence))
        yield _situation(name, child=builders.complete(), pods=(last,))
    yield _situation("another Job has the name", foreign_child=child(owner="another"))


def _refused() -> str:
    return violation(
        "InvalidInput", "the object store says InvalidAccessKeyId", field="spec.model.source",
        value="s3://models/minilm", remedy="correct the keys in the Secret, or their rights",
    )  # fmt: skip


def _situation(name: str, record: Any = None, *, now: datetime = builders.NOW, **seen: Any) -> Situation:
    start = record or builders.job()
    observed = builders.observe(start, **seen)
    plan = reconcile(observed, now)
    if plan.status is None:
        raise AssertionError(f"{name}: the plan writes no status")
    status = dict(plan.status)
    raw = builders.raw_job()
    shown = Job(raw | {"status": status})
    message = str(status["message"]).removeprefix(f"{shown.reason}: ")
    return Situation(name, str(status.get("reason", "")), message, advice(shown))


def record_responses(kubeconfig: Path) -> dict[str, str]:
    """Send all wrong manifests to an API server; return the same as ``of_server``."""
    sent = [
        wrong for wrong in wrong_jobs() if wrong.manifest is not None and "name" in wrong.manifest.get("metadata", {})
    ]
    responses = {}
    for wrong in sent:
        command = [str(tools.kubectl()), f"--kubeconfig={kubeconfig}", "create", "--validate=strict", "--filename=-"]
        done = subprocess.run(
            [*command, "--dry-run=server"],
            input=json.dumps(wrong.manifest),
            capture_output=True,
            text=True,
            check=False,
        )
        responses[wrong.name] = _without_prefix(done.stderr) if done.returncode else ""
    return responses


def _without_prefix(output: str) -> str:
    """Return the API server's message about a manifest, without the name and other prefixes."""
    problem = error_of(output).problem.replace("\n* ", "\n")
    for before in (" is invalid: ", "strict decoding error: ", 'creating "STDIN": '):
        problem = problem.partition(before)[2] or problem
    # Only the first two of a list of values, since lists grow.
    return _LISTED.sub(r"\1, ...", problem).strip()


def of_server() -> dict[str, str]:
    """Return the responses of a real API server to the wrong manifests, by name; "" if it accepts one."""
    responses: dict[str, str] = json.loads(SERVER.read_text())
    return responses


def main() -> None:
    """Write the page; with ``--server`` ask a real API server before."""
    from tests.support import troubleshooting  # it reads the answers of this module

    if sys.argv[1:] == ["--server"]:
        with apiserver.start() as started:
            started.kubectl.apply(*definitions().values())
            started.kubectl.wait_for_crds()
            SERVER.write_text(json.dumps(record_responses(started.kubeconfig), indent=2, ensure_ascii=False) + "\n")
    troubleshooting.PAGE.write_text(troubleshooting.whole_page())


if __name__ == "__main__":
    main()
