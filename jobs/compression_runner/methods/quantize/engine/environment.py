"""Locate an engine in the image, and run it with its own interpreter and without credentials."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from compression_runner.artifact import Format
from compression_runner.errors import BadRecipe
from compression_runner.gpu.watch import EVERY, GpuWatch, watching
from compression_runner.inference.environments import interpreter_path, missing, passed_on

SCRIPTS: Final = Path(__file__).parent / "scripts"
LLM_COMPRESSOR: Final = "llm-compressor"
MODELOPT: Final = "modelopt"
FORMATS: Final[Mapping[str, Format]] = {LLM_COMPRESSOR: "compressed-tensors", MODELOPT: "modelopt"}
"""The engines by their `backend` names, and the output format of each."""
LOG_LINES: Final = 12
"""Number of last lines of an engine's log in an error."""


def interpreter(name: str, field: str) -> Path:
    """Return the interpreter of an engine.

    Raises BadRecipe if the image has none.
    """
    problem = missing(name)
    if problem:
        remedy = "name a CompressionRuntime in spec.runtime whose image has it (images/runner-engine.Dockerfile)"
        raise BadRecipe("EngineMissing", f"{field}.backend", name, problem, remedy)
    return interpreter_path(name)


def run(
    name: str, settings: Mapping[str, Any], scratch: Path, field: str, gpu: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the script of an engine; return its result (versions, and details).

    The second return value has measurements of the GPU with this UUID, empty without any.
    Raises BadRecipe with the last lines of its log if the engine fails.
    """
    script = SCRIPTS / f"{name.replace('-', '_')}.py"
    settings_file, result_file, log = scratch / "settings.json", scratch / "result.json", scratch / "log.txt"
    settings_file.write_text(json.dumps(dict(settings)))
    # -P: no imports from the folder of the script, where a file has the name of the engine's package.
    command = [str(interpreter(name, field)), "-P", str(script), str(settings_file), str(result_file)]
    with log.open("wb") as output, watching(gpu) as watch:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=passed_on(), cwd=scratch)
        exit_code, gpu_details = _wait(process, watch), watch.to_report()
    if exit_code == 0 and result_file.is_file():
        return json.loads(result_file.read_text()), gpu_details
    lines = [" ".join(line.split()) for line in log.read_text(errors="replace").splitlines() if line.strip()]
    if exit_code == -9 or any("out of memory" in line.lower() for line in lines[-LOG_LINES:]):
        remedy = "give the runtime more memory, or fewer or shorter calibration samples"
        raise BadRecipe("OutOfMemory", field, name, "the engine needs more memory than the pod has", remedy)
    problem = f"the engine ended with exit code {exit_code}: {' / '.join(lines[-LOG_LINES:])[-600:]}"
    raise BadRecipe("EngineFailed", field, name, problem, "use backend onnxruntime, or other parameters")


def _wait(process: subprocess.Popen[bytes], watch: GpuWatch) -> int:
    """Wait for the end of an engine while sampling its GPU, and kill the engine on an error."""
    watch.includes(process.pid)
    try:
        while True:
            try:
                return process.wait(EVERY)
            except subprocess.TimeoutExpired:
                watch.step()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
