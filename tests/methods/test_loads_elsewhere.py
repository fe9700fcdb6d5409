"""Published outputs load and run in their format's own runtime, in a process without this project's code.

A graph runs in another runtime too, and answers alike there: it is written in the format, not for one engine.
"""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from compression_runner.methods.pack.unpacking import unpack
from tests.methods.jobs import make, missing_choices, write_job
from tests.support import runtimes
from tests.support.tiny_models import LLAMA_TOKENS

TRAINING: Final = {"epochs": 1, "batchSize": 8, "learningRate": "0.001"}
IMAGE, TEXT, EMBEDDING, LANGUAGE = "image-classification", "text-classification", "text-embedding", "text-generation"
FEW: Final = {"method": "weight-only", "groupSize": 16}
Pipeline = list[dict[str, Any]]
CASES: Final[dict[str, tuple[str, Pipeline]]] = {
    "magnitude": (TEXT, [{"prune": {"sparsity": "0.5"}}]),
    "two-of-four": (TEXT, [{"prune": {"pattern": "2:4", "sparsity": "0.5"}}]),
    "wanda": (LANGUAGE, [{"prune": {"method": "wanda", "sparsity": "0.5"}}]),
    "sparsegpt": (TEXT, [{"prune": {"method": "sparsegpt", "sparsity": "0.5"}}]),
    "channels": (IMAGE, [{"prune": {"method": "structured", "structure": "channels", "sparsity": "0.5"}}]),
    "neurons": (TEXT, [{"prune": {"method": "structured", "structure": "neurons", "sparsity": "0.5"}}]),
    "heads": (TEXT, [{"prune": {"method": "structured", "structure": "heads", "sparsity": "0.5"}}]),
    "layers": (LANGUAGE, [{"prune": {"method": "structured", "structure": "layers", "sparsity": "0.5"}}]),
    "svd": (EMBEDDING, [{"factorize": {"method": "svd", "rank": 8}}]),
    "nmf": (TEXT, [{"factorize": {"method": "nmf", "rank": 8}}]),
    "tucker": (IMAGE, [{"factorize": {"method": "tucker", "rank": 4}}]),
    "cp": (IMAGE, [{"factorize": {"method": "cp", "rank": 8}}]),
    "student": (TEXT, [{"distill": {"student": {"layers": 1, "hiddenSize": 16}, "training": TRAINING}}]),
    "recovered": (IMAGE, [{"prune": {"sparsity": "0.5"}}, {"recover": {"training": TRAINING}}]),
    "by-labels": (LANGUAGE, [{"prune": {"sparsity": "0.5"}}, {"recover": {"method": "labels", "training": TRAINING}}]),
    "dynamic": (TEXT, [{"quantize": {"method": "dynamic"}}]),
    "static": (IMAGE, [{"quantize": {"method": "static", "accuracyControl": {"maxDrop": "0.01"}}}]),
    "percentile": (IMAGE, [{"quantize": {"method": "static", "calibration": "percentile"}}]),
    "entropy": (IMAGE, [{"quantize": {"method": "static", "calibration": "entropy"}}]),
    "smoothed": (TEXT, [{"quantize": {"method": "static", "calibration": "minmax", "smoothQuant": "0.5"}}]),
    "float8": (TEXT, [{"quantize": {"method": "static", "dtype": "float8"}}]),
    "openvino": (TEXT, [{"quantize": {"method": "static", "backend": "openvino"}}]),
    "openvino-converted": (TEXT, [{"factorize": {"method": "svd", "rank": 8}}]),
    "torch-export": (IMAGE, [{"prune": {"method": "structured", "structure": "channels", "sparsity": "0.5"}}]),
    "bfloat16": (TEXT, [{"quantize": {"method": "cast", "dtype": "bfloat16"}}]),
    "float16": (IMAGE, [{"quantize": {"method": "cast", "dtype": "float16"}}]),
    "int8-weights": (LANGUAGE, [{"quantize": {**FEW, "dtype": "int8"}}]),
    "int4-gptq": (LANGUAGE, [{"quantize": {**FEW, "dtype": "int4", "algorithm": "gptq"}}]),
    "int4-awq": (LANGUAGE, [{"quantize": {**FEW, "dtype": "int4", "algorithm": "awq"}}]),
    "vllm": (LANGUAGE, [{"quantize": {**FEW, "groupSize": 32, "dtype": "int4", "backend": "vllm"}}]),
    "int3-rtn": (EMBEDDING, [{"quantize": {**FEW, "dtype": "int3", "algorithm": "rtn"}}]),
    "int2": (TEXT, [{"quantize": {**FEW, "dtype": "int2"}}]),
    "mixed": (TEXT, [{"quantize": {**FEW, "dtype": "mixed", "budget": "0.8"}}]),
    "qat-int8": (TEXT, [{"quantize": {"method": "qat", "dtype": "int8", "training": TRAINING}}]),
    "qat-int4": (IMAGE, [{"quantize": {"method": "qat", "dtype": "int4", "training": TRAINING}}]),
    "qat-int2": (TEXT, [{"quantize": {"method": "qat", "dtype": "int2", "training": TRAINING}}]),
    "qat-ternary": (IMAGE, [{"quantize": {"method": "qat", "dtype": "ternary", "training": TRAINING}}]),
    "qat-binary": (TEXT, [{"quantize": {"method": "qat", "dtype": "binary", "training": TRAINING}}]),
    "packed": (TEXT, [{"prune": {"sparsity": "0.5"}}, {"pack": {"codec": "auto"}}]),
}
OUTPUTS: Final = {"torch-export": "torch-export", "openvino-converted": "openvino"}
SHAPES: Final = {TEXT: [1, 3], IMAGE: [1, 3], EMBEDDING: [1, 32], LANGUAGE: [1, 7, len(LLAMA_TOKENS)]}
CHOICES: Final = {"method", "structure", "algorithm", "dtype", "pattern", "calibration"}
"""The fields that select a result's content; an unpacked artifact does not depend on the codec."""

LOADER_SCRIPT: Final = (
    f"""
import json, pathlib, sys, traceback
from pathlib import Path
from typing import Any

{inspect.getsource(runtimes)}
"""
    + """
def answer_of(folder, task):
    about = json.loads((folder / "artifact.json").read_text())
    if about["format"] == "onnx":
        import numpy, onnxruntime
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
        sizes = {"batch": 1, "past": 0}
        feed = {
            node.name: numpy.ones(
                [size if isinstance(size, int) else sizes.get(size, 7) for size in node.shape],
                "float32" if "float" in node.type else "int64",
            )
            for node in session.get_inputs()
        }
        answer = session.run(None, feed)[0]
        # As written, in float: fused 8-bit products saturate on some CPUs.
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        plain = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        ).run(None, feed)[0]
        other, runtime = elsewhere(folder / "model.onnx", feed)
        sides = [side.astype("float64").ravel() for side in (plain, other)]
        cosine = sides[0] @ sides[1] / max(1e-12, *(side @ side for side in sides))
        assert abs(cosine - 1.0) < 0.05, (runtime, cosine)
    elif about["format"] == "openvino":
        import numpy, openvino
        model = openvino.Core().compile_model(folder / "model.xml", "CPU")
        shapes = {"pixel_values": (1, 1, 16, 16)}
        feed = {
            node.any_name: numpy.ones(shapes.get(node.any_name, (1, 7)), node.element_type.to_dtype())
            for node in model.inputs
        }
        answer = model(feed)[0]
    elif about["format"] == "torch-export":
        import torch
        program = torch.export.load(folder / "model.pt2").module()
        answer = program(torch.ones(1, 1, 16, 16)).detach().numpy()
    else:
        import torch, transformers
        kinds = {
            "text-classification": transformers.AutoModelForSequenceClassification,
            "image-classification": transformers.AutoModelForImageClassification,
            "text-embedding": transformers.AutoModel,
            "text-generation": transformers.AutoModelForCausalLM,
        }
        model, loading_info = kinds[task].from_pretrained(folder, output_loading_info=True)
        assert not loading_info["missing_keys"], loading_info
        given = torch.ones(1, 1, 16, 16) if task.startswith("image") else torch.ones(1, 7, dtype=torch.int64)
        given = given.to(model.dtype) if given.is_floating_point() else given
        answer = model.eval()(given).logits.detach().float().numpy()
    return answer

for line in sys.stdin:
    try:
        folder, task = json.loads(line)
        answer = answer_of(pathlib.Path(folder), task)
        ours = sorted(name for name in sys.modules if name.startswith(("compression", "samples", "tests")))
        assert not ours, ours
        result = {"shape": list(answer.shape), "finite": bool((answer == answer).all())}
    except Exception:
        result = {"error": traceback.format_exc()}
    print(json.dumps(result), flush=True)
"""
)


@pytest.fixture(scope="module")
def run_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path, str], Any]]:
    """Yield a function that runs a folder's model in a process without this project's code."""
    place = tmp_path_factory.mktemp("stranger")
    command = [sys.executable, "-I", "-W", "ignore", "-c", LOADER_SCRIPT]
    with (
        (place / "stderr").open("w") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=place
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        requests, answers = process.stdin, process.stdout

        def ask(folder: Path, task: str) -> Any:
            requests.write(json.dumps([str(folder), task]) + "\n")
            requests.flush()
            return json.loads(answers.readline())

        yield ask
        requests.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the models, data and checkpoints of all jobs; most export the same model first."""
    return tmp_path_factory.mktemp("shared")


@pytest.mark.parametrize("name", CASES)
def test_outputs_run_without_this_project(
    name: str, tmp_path: Path, shared: Path, run_outside: Callable[[Path, str], Any]
) -> None:
    task, pipeline = CASES[name]
    job = write_job(tmp_path, task, pipeline, OUTPUTS.get(name, "auto"), inputs=shared / task)
    result = make(job, tmp_path / "work", shared / "checkpoints")
    folder = result.path
    if "pack" in pipeline[-1]:
        folder = unpack(result, tmp_path / "unpacked").path
    assert run_outside(folder, task) == {"shape": SHAPES[task], "finite": True}


def test_every_method_runs_without_this_project() -> None:
    assert missing_choices((pipeline for _, pipeline in CASES.values()), CHOICES) == set()
