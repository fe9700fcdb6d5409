"""The preconditions of each page: the state of the cluster, jobs, and values for placeholders."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from localcluster import namespaces
from localcluster.paths import REPOSITORY
from samples.text import minilm, sentences
from tests.docs import jobs
from tests.docs.reader import (
    FIRST,
    READER,
    TEAM,
    ReaderEnvironment,
    bare,
    environment_of_store,
    push_images,
    ready,
    to_be_changed,
)
from tests.support.console_blocks import Command, File, steps

Prepare = Callable[[ReaderEnvironment], object]
REGISTRY: Final = "registry.example.com/ml"
MODEL: Final = "sentence-transformers/all-MiniLM-L6-v2"
TRIAL: Final = "examples/local/minilm-int8.yaml"
TRIAL_REPORT: Final = Path("/tmp/trial/report.json")
"""Path of the report in the README."""


def nothing(_stage: ReaderEnvironment) -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Scene:
    """Sections of a page whose commands run one after the other; by default those that no other scene has."""

    page: str
    sections: tuple[str, ...] = ()
    prepare: Prepare = nothing
    typed: Mapping[str, str] = field(default_factory=dict)
    """Printed text -> the text that the reader types instead."""
    after: Mapping[str, Prepare] = field(default_factory=dict)
    """Start of a command -> what the reader does or waits for after it."""
    user: str = "admin"
    """User of the kubeconfig that KUBECONFIG names; without KUBECONFIG if empty."""
    namespace: str = TEAM
    server: str = ""
    """Another address of the API server."""
    plugin: bool = False
    """Whether the reader has the plugin and the runner on PATH."""

    def __str__(self) -> str:
        return "-".join((self.page, *self.sections)).replace(" ", "_")


def with_jobs(*names: str) -> Prepare:
    """Return a function that installs the operator and runs these jobs."""

    def prepare(reader: ReaderEnvironment) -> None:
        ready(reader)
        jobs.ensure(reader, names)

    return prepare


def in_a_fresh_namespace(reader: ReaderEnvironment) -> None:
    """Install the operator, and create a namespace without jobs."""
    ready(reader)
    reader.kubectl.run("delete", "namespace", FIRST, "--ignore-not-found", "--wait")
    namespaces.prepare(FIRST)


def after_a_trial(reader: ReaderEnvironment) -> None:
    """Create the report of a local run."""
    if not TRIAL_REPORT.exists():
        data = reader.folder / "examples" / "local" / "data"
        minilm(data / "minilm")
        sentences(data)
        python = [sys.executable, "-m", "compression_runner", "run", TRIAL, "--workdir", TRIAL_REPORT.parent]
        subprocess.run(python, check=True, cwd=reader.folder)
    shutil.copy(TRIAL_REPORT, reader.folder / "report.json")


def with_a_team_and_a_download(reader: ReaderEnvironment) -> None:
    """Create a namespace for a team, and download a published model."""
    with_jobs("minilm-int8")(reader)
    reader.kubectl.run("delete", "namespace", "team-a", "--ignore-not-found", "--wait")
    namespaces.prepare("team-a")
    reader.kubectl.run("create", "secret", "generic", "hub", "--namespace=team-a", "--from-literal=HF_TOKEN=token")
    for item in reader.store.list_objects_v2(Bucket="models", Prefix="minilm-int8/")["Contents"]:
        path = reader.folder / "out" / "published" / item["Key"].removeprefix("minilm-int8/")
        path.parent.mkdir(parents=True, exist_ok=True)
        reader.store.download_file("models", item["Key"], str(path))


def write_job(reader: ReaderEnvironment, name: str = "job.yaml", **changes: Any) -> None:
    """Write a completed job.yaml."""
    manifest = jobs.manifest("minilm-int8", **changes)
    (reader.folder / name).write_text(yaml.safe_dump(manifest, sort_keys=False))


def complete_readme_job(reader: ReaderEnvironment) -> None:
    """Complete the file that `init` wrote, with another job name."""
    written = reader.folder / "job.yaml"
    assert MODEL in written.read_text()
    write_job(reader, **{"metadata.name": "minilm-mine", "spec.output.destination": "s3://models/minilm-mine"})


def complete_plugin_jobs(reader: ReaderEnvironment) -> None:
    """Complete the file that `init` wrote, and write the page's wrong job."""
    assert MODEL in (reader.folder / "job.yaml").read_text()
    write_job(reader, **{"spec.deadline": "1h", "spec.runtime": "cpu-large"})
    wrong = {"spec.deadline": "one hour", "spec.pipeline": [{"quantize": {"dtype": "int9"}}]}
    write_job(reader, "wrong.yaml", **{"metadata.name": "minilm-next", **wrong})


def complete_review(reader: ReaderEnvironment) -> None:
    """Write the job's uid and digest, and the reviewer, into the example."""
    job = reader.kubectl.read("--namespace", TEAM, "get", "cpj", "minilm-int8-reviewed")
    path = reader.folder / "examples" / "compressionreview.yaml"
    review = yaml.safe_load(path.read_text())
    seen = {"jobUID": job["metadata"]["uid"], "digest": job["status"]["digest"], "reviewer": READER}
    review["spec"] |= seen
    path.write_text(yaml.safe_dump(review))


def price_runtime(reader: ReaderEnvironment) -> None:
    """Write a job for a local run with a price."""
    text = (REPOSITORY / TRIAL).read_text()
    data = reader.folder / "examples" / "local" / "data"
    (reader.folder / "job.yaml").write_text(text.replace("file://./data", f"file://{data}"))


def given_cluster(reader: ReaderEnvironment) -> None:
    """Create images, a bucket and values for the cluster that KUBECONFIG names."""
    bare(reader)
    push_images(reader, REGISTRY)
    operator, runner = ({"image": {"repository": f"{REGISTRY}/compression-{name}"}} for name in ("operator", "runner"))
    (reader.folder / "values.yaml").write_text(yaml.safe_dump(operator | {"runner": runner}))


def with_images(reader: ReaderEnvironment) -> None:
    """Prepare a cluster without the operator, with images that its nodes can pull."""
    bare(reader)
    push_images(reader, REGISTRY)


STORE: Final = environment_of_store()
NAMES: Final = {"NAMESPACE": TEAM, "REVIEWER": READER, "JOB.yaml": TRIAL}
SCENES: Final = [
    # Scenes without a cluster.
    Scene("README.md", ("Without a cluster",)),
    Scene("docs/report.md", prepare=after_a_trial, plugin=True),
    Scene("docs/cost-and-deadlines.md", ("Cost of inference",), price_runtime, plugin=True),
    # Scenes with the operator and jobs.
    Scene("README.md", ("Compression Operator",), in_a_fresh_namespace, namespace=FIRST),
    Scene("README.md", ("Try it",), user=""),
    Scene("docs/cost-and-deadlines.md", prepare=with_jobs("minilm-int8")),
    Scene(
        "docs/kubectl-compress.md",
        prepare=with_jobs(
            "minilm-int8", "minilm-per-tensor", "minilm-oom", "minilm-gpu", "minilm-reviewed", "minilm-close"
        ),
        after={
            "kubectl compress init": complete_plugin_jobs,
            "kubectl compress submit job.yaml --name minilm-next": partial(
                jobs.wait_for_reason, name="minilm-next", reason="Unschedulable"
            ),
        },
        user=READER,
    ),
    Scene(
        "README.md",
        ("From a terminal",),
        with_jobs("minilm-int8", "minilm-per-tensor", "minilm-oom", "minilm-reviewed"),
        {"ORG/NAME": MODEL},
        {"kubectl compress init": complete_readme_job},
        user=READER,
        plugin=True,
    ),
    Scene(
        "docs/review.md",
        prepare=with_jobs("minilm-int8-reviewed"),
        typed={"operator.io/NAME": "operator.io/minilm-int8-reviewed"},
        after={"kubectl auth whoami": complete_review},
        user=READER,
        plugin=True,
    ),
    Scene("docs/notifications.md", prepare=with_jobs("minilm-int8")),
    Scene("docs/argocd.md", prepare=with_jobs("minilm-int8")),
    Scene("docs/stores.md", prepare=with_a_team_and_a_download),
    Scene("docs/security.md", prepare=with_a_team_and_a_download, typed={"DOWNLOADED_MODEL": "out/published"}),
    *(
        Scene(
            f"docs/runbooks/{page.name}",
            prepare=with_jobs("minilm-int8"),
            typed={**NAMES, "NAME": "minilm-int8"},
            plugin=True,
        )
        for page in sorted((REPOSITORY / "docs" / "runbooks").glob("*.md"))
    ),
    Scene(
        "docs/troubleshooting.md",
        prepare=with_jobs("minilm-int8"),
        typed={**NAMES, "NAME": "minilm-int8"},
        plugin=True,
    ),
    Scene("docs/monitoring.md", prepare=to_be_changed),
    Scene("docs/network.md", prepare=to_be_changed),
    # Scenes on a cluster without the operator.
    Scene(
        "README.md",
        ("The demo on your own cluster",),
        given_cluster,
        {"make demo": " ".join(f"{name}={value}" for name, value in STORE.items()) + " make demo"},
        server="https://10.96.0.1:443",
    ),
    Scene(
        "README.md",
        ("A first job on your cluster",),
        bare,
        {
            "AWS_ACCESS_KEY_ID=...": f"AWS_ACCESS_KEY_ID={STORE['AWS_ACCESS_KEY_ID']}",
            "AWS_SECRET_ACCESS_KEY=...": f"AWS_SECRET_ACCESS_KEY={STORE['AWS_SECRET_ACCESS_KEY']}",
            "https://s3.example.com": STORE["AWS_ENDPOINT_URL"],
        },
        namespace="default",
    ),
    Scene("docs/install.md", prepare=with_images, namespace="default"),
]

NOT_HERE: Final[Mapping[tuple[str, str], str]] = {
    ("README.md", "make test"): "CI runs it, it takes half an hour, and it includes the tests beside this one",
    (
        "docs/report.md",
        "compression-runner report report.json | gh pr comment",
    ): "needs GitHub, and a pull request there",
    ("docs/supply-chain.md", "python -m localcluster images build"): "takes minutes: `make test-images` does it",
    ("docs/supply-chain.md", "python -m images.sbom"): "needs those images: `make test-images` has them",
    ("docs/supply-chain.md", "python -m images.advisories"): "needs a folder of advisories from elsewhere",
    ("docs/kueue.md", "kubectl get workloads.kueue.x-k8s.io"): "needs Kueue: `make test-kueue` has it",
    ("docs/kueue.md", "kubectl describe workload"): "needs Kueue: `make test-kueue` has it",
    ("docs/runbooks/CompressionJobStuck.md", "kubectl -n NAMESPACE top pods"): "needs the metrics server",
    ("docs/runbooks/CompressionOperatorAPITrouble.md", "kubectl top nodes"): "needs the metrics server",
}
"""Page and start of each command that cannot run on this machine -> reason."""


def runs_here(command: Command) -> bool:
    """Return whether a command can run on this machine."""
    return not any(page == command.page and command.text.startswith(text) for page, text in NOT_HERE)


def played(scene: Scene) -> list[Command | File]:
    """Return the steps of a scene: in each section first the files, then the commands in order."""
    named = {section for other in SCENES if other.page == scene.page for section in other.sections}
    every = [
        step
        for step in steps(REPOSITORY / scene.page)
        if (step.section in scene.sections if scene.sections else step.section not in named)
    ]
    sections = list(dict.fromkeys(step.section for step in every))
    kinds = (File, Command)
    return [
        step
        for section in sections
        for kind in kinds
        for step in every
        if step.section == section and isinstance(step, kind)
    ]
