"""Real builds of onnxruntime with other execution providers, each installed in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.tooling import interpreter_of

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
PINNED = REPOSITORY / "images" / "onnxruntime-gpu.txt"


def ran(name: str, script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run a script of this folder in the environment of `name`.txt, with the runner's code and no GPU."""
    python = interpreter_of(f"providers-{name}", HERE / f"{name}.txt")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(REPOSITORY / folder) for folder in ("operator", "jobs", ".")),
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [str(python), str(HERE / script), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.timeout(900)
def test_a_provider_that_takes_half_of_the_operators_is_refused_and_a_whole_graph_is_not(tmp_path: Path) -> None:
    ended = ran("openvino", "partial.py", tmp_path)
    assert ended.returncode == 0, ended.stderr
    results = json.loads(ended.stdout)
    assert [(side["model"], side["nodes"]) for side in results["whole"]] == [
        ("baseline", {"OpenVINOExecutionProvider": 1}),
        ("compressed", {"OpenVINOExecutionProvider": 1}),
    ]
    half = "2 of 3 nodes ran on the CPU and not in OpenVINOExecutionProvider: MatMul (1), Normalizer (1)"
    *about, problem = results["baseline"]
    assert about == ["InvalidInput", "PartialPlacement", "spec.benchmark.engine"]
    assert problem.startswith(half)
    *about, problem = results["compressed"]
    assert about == ["BadRecipe", "PartialPlacement", "spec.pipeline[0].quantize"]
    assert problem.startswith(half)


@pytest.mark.timeout(900)
def test_the_onnxruntime_of_the_image_for_gpus_is_refused_without_a_gpu(tmp_path: Path) -> None:
    ended = ran("gpu", "without_gpu.py", tmp_path)
    assert ended.returncode == 0, ended.stderr
    results = json.loads(ended.stdout)
    assert f"onnxruntime-gpu=={results['version']} " in PINNED.read_text()
    assert {"CUDAExecutionProvider", "TensorrtExecutionProvider"} <= set(results["available"])
    for engine in ("onnxruntime-cuda", "onnxruntime-tensorrt"):
        assert "does not start, for lack of a GPU, its driver or libraries" in results[engine]["check"]
        assert results[engine]["opened"][0] == "InvalidInput"
