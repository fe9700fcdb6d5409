"""What is published loads and runs in its format's own runtime, in a process that has none of this project's code."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.methods.jobs import finish, write_job

TRAINING: Final = {"epochs": 1, "batchSize": 8, "learningRate": "0.001"}
IMAGE, TEXT = "image-classification", "text-classification"
CASES: Final[dict[str, tuple[str, list[dict[str, Any]]]]] = {
    "magnitude": (TEXT, [{"prune": {"sparsity": "0.5"}}]),
    "channels": (IMAGE, [{"prune": {"method": "structured", "structure": "channels", "sparsity": "0.5"}}]),
    "neurons": (TEXT, [{"prune": {"method": "structured", "structure": "neurons", "sparsity": "0.5"}}]),
    "heads": (TEXT, [{"prune": {"method": "structured", "structure": "heads", "sparsity": "0.5"}}]),
    "layers": (TEXT, [{"prune": {"method": "structured", "structure": "layers", "sparsity": "0.5"}}]),
    "student": (TEXT, [{"distill": {"student": {"layers": 1, "hiddenSize": 16}, "training": TRAINING}}]),
    "recovered": (IMAGE, [{"prune": {"sparsity": "0.5"}}, {"recover": {"training": TRAINING}}]),
    "dynamic": (TEXT, [{"quantize": {"method": "dynamic"}}]),
    "static": (IMAGE, [{"quantize": {"method": "static"}}]),
    "smoothed": (TEXT, [{"quantize": {"method": "static", "smoothQuant": "0.5"}}]),
    "float8": (IMAGE, [{"quantize": {"method": "static", "dtype": "float8"}}]),
    "openvino": (TEXT, [{"quantize": {"method": "static", "backend": "openvino"}}]),
    "torch-export": (IMAGE, [{"prune": {"method": "structured", "structure": "channels", "sparsity": "0.5"}}]),
    "bfloat16": (TEXT, [{"quantize": {"method": "cast", "dtype": "bfloat16"}}]),
    "float16": (IMAGE, [{"quantize": {"method": "cast", "dtype": "float16"}}]),
    "qat-int4": (IMAGE, [{"quantize": {"method": "qat", "dtype": "int4", "training": TRAINING}}]),
    "qat-binary": (TEXT, [{"quantize": {"method": "qat", "dtype": "binary", "training": TRAINING}}]),
}

STRANGER: Final = """
import json, pathlib, sys
folder, task = pathlib.Path(sys.argv[1]), sys.argv[2]
about = json.loads((folder / "artifact.json").read_text())
if about["format"] == "onnx":
    import numpy, onnxruntime
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    shapes = {"pixel_values": (1, 1, 16, 16)}
    feed = {
        node.name: numpy.ones(shapes.get(node.name, (1, 7)), "float32" if "float" in node.type else "int64")
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
    output = name if name == "torch-export" else "auto"
    finish(write_job(tmp_path, task, pipeline, output), tmp_path / "work")
    folder = tmp_path / "work" / "output"
    command = [sys.executable, "-I", "-W", "ignore", "-c", STRANGER, str(folder), task]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.strip().splitlines()[-1]) == {"shape": [1, 3], "finite": True}
