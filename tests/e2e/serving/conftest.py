"""A runtime with vLLM: its environment is mounted in the pods, in place of an image that has it."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from demo.installation import upload
from localcluster.folder_claims import folder_claim
from localcluster.kubectl import Kubectl
from samples.bible import kjv
from samples.questions import questions
from samples.smollm import smollm2
from tests.e2e.harness import Namespace
from tests.support.engine_environments import for_pods

CLAIM: Final = "compression-engines"
RUNTIME: Final = "vllm"
MEMORY: Final = "14Gi"


@pytest.fixture(scope="session")
def runtime(kubectl: Kubectl, namespace: Namespace) -> Iterator[str]:
    """Return the name of the runtime: that of the chart for one CPU, with more memory and the engine."""
    engines = folder_claim(CLAIM, namespace.name, for_pods("vllm"))
    for item in engines:
        namespace.apply(item)
    spec: dict[str, Any] = kubectl.read("get", "cprt", "cpu")["spec"]
    engine = {
        "name": "engines",
        "mountPath": "/opt/engines",
        "persistentVolumeClaim": {"claimName": CLAIM, "readOnly": True},
    }
    spec["resources"] = {kind: {"cpu": "1", "memory": MEMORY} for kind in ("requests", "limits")}
    spec["volumes"] = [*spec["volumes"], engine]
    api = "compression-operator.io/v1alpha1"
    kubectl.apply({"apiVersion": api, "kind": "CompressionRuntime", "metadata": {"name": RUNTIME}, "spec": spec})
    yield RUNTIME
    kubectl.run("delete", "cprt", RUNTIME)
    kubectl.run("delete", "pv", engines[0]["metadata"]["name"], "--wait=false")


@pytest.fixture(scope="session")
def language_model(store: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Upload SmolLM2, texts and questions."""
    folder = tmp_path_factory.mktemp("language-model")
    smollm2(folder / "smollm2")
    upload(store, folder / "smollm2", "models", "smollm2")
    kjv(folder / "kjv")
    upload(store, folder / "kjv" / "kjv-test.parquet", "data", "kjv-test.parquet")
    questions(folder / "questions")
    upload(store, folder / "questions" / "words.jsonl", "data", "words.jsonl")
