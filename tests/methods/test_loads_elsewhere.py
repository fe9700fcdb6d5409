"""What is published loads and runs in its format's own runtime, in a process that has none of this project's code."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.methods.jobs import finish, missing_choices, write_job
from tests.tiny_models import LLAMA_TOKENS

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
"""The fields that choose what is in a result; codecs leave nothing of themselves in what is unpacked."""

STRANGER: Final = """
import json, pathlib, sys
folder, task = pathlib.Path(sys.argv[1]), sys.argv[2]
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
    model, told = kinds[task].from_pretrained(folder, output_loading_info=True)
    assert not told["missing_keys"], told
    given = torch.ones(1, 1, 16, 16) if task.startswith("image") else torch.ones(1, 7, dtype=torch.int64)
    answer = model.eval()(given.to(model.dtype) if task.startswith("image") else given).logits.detach().float().numpy()
ours = sorted(name for name in sys.modules if name.startswith(("compression", "samples", "tests")))
assert not ours, ours
print(json.dumps({"shape": list(answer.shape), "finite": bool((answer == answer).all())}))
"""


@pytest.mark.parametrize("name", CASES)
def test_a_stranger_can_run_it(name: str, tmp_path: Path) -> None:
    task, pipeline = CASES[name]
    finish(write_job(tmp_path, task, pipeline, OUTPUTS.get(name, "auto"), limit="1s"), tmp_path / "work")
    folder = tmp_path / "work" / "output"
    if "pack" in pipeline[-1]:
        unpack = [sys.executable, "-m", "compression_runner", "unpack", str(folder), str(tmp_path / "unpacked")]
        subprocess.run(unpack, check=True, capture_output=True, timeout=120)
        folder = tmp_path / "unpacked"
    command = [sys.executable, "-I", "-W", "ignore", "-c", STRANGER, str(folder), task]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.strip().splitlines()[-1]) == {"shape": SHAPES[task], "finite": True}


def test_every_method_is_run_by_a_stranger() -> None:
    assert missing_choices((pipeline for _, pipeline in CASES.values()), CHOICES) == set()
