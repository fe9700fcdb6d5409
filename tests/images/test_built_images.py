"""The real Dockerfiles build, and a job of the demo runs in the images. It is slow and needs 18 GB of disk."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from demo.installation import SYSTEM_NAMESPACE, install_chart, object_store, seed
from images import sbom
from images.lock import locked
from localcluster import images
from localcluster.components import admin_kubeconfig
from localcluster.kubectl import Kubectl
from localcluster.paths import REPOSITORY
from tests.e2e.harness import Namespace
from tests.e2e.jobs import minilm_job

NAMESPACE = "compression-images"
# null would delete the chart's own values, but not those of another values file.
BARE = {
    "command": ["compression-operator", "run"],
    "extraVolumes": [],
    "extraVolumeMounts": [],
    "runtimes.cpu.volumes": [],
    "runtimes.cpu.command": ["compression-runner", "pod"],
}


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    """Return a namespace of a cluster whose operator and runtime use the built images, without mounted code."""
    subprocess.run([sys.executable, "-m", "localcluster", "up"], check=True, cwd=REPOSITORY)
    try:
        images.build()  # the CUDA image is only built: its build checks torch, and there is no GPU to run it
        images.load(("operator", "runner"))
        seed(object_store())
        settings = {
            "image.repository": "localhost/compression-operator",
            "image.tag": images.tag(),
            "runtimes.cpu.image": f"localhost/compression-runner:{images.tag()}",
        }
        values = [f"--set={name}={value}" for name, value in settings.items()]
        install_chart(*values, *(f"--set-json={name}={json.dumps(value)}" for name, value in BARE.items()))
        subprocess.run([sys.executable, "-m", "localcluster", "namespace", NAMESPACE], check=True, cwd=REPOSITORY)
        yield Namespace(Kubectl(admin_kubeconfig()), NAMESPACE)
    finally:
        Kubectl(admin_kubeconfig()).run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
        install_chart()
        images.clean()


@pytest.mark.timeout(3000)
def test_a_job_runs_in_the_built_images(namespace: Namespace) -> None:
    operator = namespace.kubectl.read("--namespace", SYSTEM_NAMESPACE, "get", "deployment", "compression-operator")
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"localhost/compression-operator:{images.tag()}"
    assert not mounted(operator["spec"]["template"]["spec"])
    job = namespace.job(minilm_job("in-images", spec__runtime="cpu"))
    status = job.wait_phase("Succeeded", seconds=600)
    assert status["verdict"] == "Pass"
    (pod,) = job.pods()
    assert pod["spec"]["containers"][0]["image"] == f"localhost/compression-runner:{images.tag()}", json.dumps(pod)
    assert not mounted(pod["spec"])


@pytest.mark.timeout(3000)
@pytest.mark.parametrize(("name", "extra"), [("operator", "operator"), ("runner", "runner"), ("runner-cuda", "runner")])
def test_an_image_has_a_complete_bill_of_materials(namespace: Namespace, name: str, extra: str) -> None:
    with images.mounted(name) as root:
        bill = sbom.bill(root, f"compression-{name}", images.tag())
    python, debian = sbom.packages_of(bill, "pypi"), sbom.packages_of(bill, "deb")
    assert python.pop("compression-operator") == images.tag()
    allowed = {(package.name, package.version) for package in locked([extra])}
    assert set(python.items()) <= allowed, "the image has packages that are not in uv.lock"
    assert {"pydantic", "pyyaml"} <= set(python)
    assert {"python3", "libc6", "ca-certificates"} <= set(debian)


def mounted(spec: dict[str, Any]) -> list[str]:
    """Return the volumes with code, which the local cluster's usual pods mount from a claim. A pod's input has none."""
    return [volume["name"] for volume in spec["volumes"] if not {"emptyDir", "downwardAPI"} & volume.keys()]
