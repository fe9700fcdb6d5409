"""The real Dockerfiles: they build, and a job of the demo runs in what they build. Slow: minutes, 18 GB of disk."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from demo.installation import RELEASE, SYSTEM_NAMESPACE, install_chart, kubeconfig, object_store, seed
from localcluster import images, tools
from localcluster.kubectl import Kubectl
from localcluster.paths import REPOSITORY
from tests.e2e.harness import Job, Namespace, wait_for

NAMESPACE = "compression-images"
HERE = REPOSITORY / "tests" / "images"


def localcluster(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "localcluster", *arguments], check=True, cwd=REPOSITORY)


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Kubectl]:
    """A cluster with the operator in its own image, put back to the mounted environment afterwards."""
    localcluster("up")
    try:
        localcluster("images", "build")
        localcluster("images", "load")
        subprocess.run(
            [
                tools.helm(), "upgrade", "--install", RELEASE, REPOSITORY / "charts" / "compression-operator",
                "--kubeconfig", kubeconfig(), "--namespace", SYSTEM_NAMESPACE, "--create-namespace", "--reset-values",
                "--values", HERE / "values.yaml", "--set", f"image.tag={images.tag()}",
                "--set", f"runner.image.tag={images.tag()}", "--wait", "--timeout", "3m",
            ],
            check=True,
        )  # fmt: skip
        yield Kubectl(kubeconfig())
    finally:
        install_chart("--reset-values")
        localcluster("images", "clean")


@pytest.mark.timeout(2400)
def test_a_job_of_the_demo_runs_in_the_built_images(kubectl: Kubectl) -> None:
    seed(object_store())
    kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    localcluster("namespace", NAMESPACE)
    try:
        namespace = Namespace(kubectl, NAMESPACE)
        job = namespace.job(yaml.safe_load((REPOSITORY / "examples" / "minilm-int8.yaml").read_text()))
        pods = wait_for("a pod was made", lambda: job.pods(), 120)
        assert_uses_images(kubectl, pods[0], job)
        status = job.wait_phase("Succeeded", seconds=600)
        assert status["verdict"] == "Pass"
    finally:
        kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


def assert_uses_images(kubectl: Kubectl, pod: dict[str, Any], job: Job) -> None:
    """Neither pod has the mounted environment."""
    operators = kubectl.read("--namespace", SYSTEM_NAMESPACE, "get", "pods")["items"]
    used = {container["image"] for item in [*operators, pod] for container in item["spec"]["containers"]}
    assert {f"localhost/compression-operator:{images.tag()}", f"localhost/compression-runner:{images.tag()}"} <= used
    assert "compression-site" not in json.dumps(pod["spec"])


@pytest.mark.timeout(600)
def test_the_cuda_image_asks_for_the_driver_and_has_a_torch_that_could_use_it(kubectl: Kubectl) -> None:
    script = "import os, torch; print('cuda', torch.version.cuda, os.environ['NVIDIA_VISIBLE_DEVICES'])"
    name = "cuda-image"
    kubectl.run("delete", "pod", name, "--ignore-not-found", "--wait")
    kubectl.run(
        "run", name, f"--image=localhost/compression-runner:{images.tag()}-cuda", "--image-pull-policy=Never",
        "--restart=Never", "--command", "--", "python", "-c", script,
    )  # fmt: skip
    try:
        kubectl.run("wait", "pod", name, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s", timeout=150)
        words = next(line for line in kubectl.run("logs", name).splitlines() if line.startswith("cuda ")).split()
        assert words[1] != "None"
        assert words[2] == "all"
    finally:
        kubectl.run("delete", "pod", name, "--wait=false")
