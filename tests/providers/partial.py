"""Measure where two graphs run in OpenVINO's provider, with the runner's own code; prints JSON.

It runs in the environment of openvino.txt: `python partial.py FOLDER`.
"""

import json
import sys
from pathlib import Path

from compression_runner.errors import RunnerError
from compression_runner.evaluation.machine import execution
from compression_runner.evaluation.machine.execution import Execution
from compression_runner.inference import gpu, providers
from compression_runner.inference.gpu import GpuPredictor
from compression_runner.inference.predictor import ModelOrigin
from compression_runner.inference.providers import ExecutionProvider
from compressionjob.report import Environment
from tests.support.half_supported import FEED, half_supported

OPENVINO = {"onnxruntime-cuda": ExecutionProvider("OpenVINOExecutionProvider", (), "as stored")}


def main(folder: Path) -> None:
    """Check three pairs of models."""
    for module in (providers, gpu, execution):
        module.PROVIDERS = OPENVINO
    half, whole = half_supported(folder / "half.onnx"), half_supported(folder / "whole.onnx", whole=True)
    stage = ModelOrigin("spec.pipeline[0].quantize", compressed=True)
    results = {}
    for name, models in {"whole": (whole, whole), "baseline": (half, whole), "compressed": (whole, half)}.items():
        checked = Execution("onnxruntime-cuda")
        with (
            GpuPredictor(models[0], 1, "onnxruntime-cuda") as before,
            GpuPredictor(models[1], 1, "onnxruntime-cuda") as after,
        ):
            try:
                checked.require_on_device((before, after), (FEED, FEED), stage)
                results[name] = checked.described_in(Environment()).to_json()["placement"]
            except RunnerError as error:
                results[name] = [type(error).__name__, error.reason, error.field, error.problem]
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
