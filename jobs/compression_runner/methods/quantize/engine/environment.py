"""Where an engine lives in an image, and how it is run: by its own interpreter, without any credentials."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from compression_runner.artifact import Format
from compression_runner.errors import BadRecipe
from compression_runner.gpu.watch import EVERY, GpuWatch, watching
from compressionjob.pod import ENGINES, ENGINES_VARIABLE

SCRIPTS: Final = Path(__file__).parent / "scripts"
LLM_COMPRESSOR: Final = "llm-compressor"
MODELOPT: Final = "modelopt"
FORMATS: Final[Mapping[str, Format]] = {LLM_COMPRESSOR: "compressed-tensors", MODELOPT: "modelopt"}
"""The engines, as `backend` names them, and what each gives."""
PASSED_ON: Final = ("PATH", "HOME", "TMPDIR", "LANG", "LC_", "LD_LIBRARY_PATH", "CUDA_", "NVIDIA_", "OMP_")
"""What begins like these of the environment is for engines too; credentials are not."""
OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
SAID: Final = 12
"""Lines of what an engine said last, for the error."""


def interpreter(name: str, field: str) -> Path:
    """The interpreter of an engine.

    Raises BadRecipe where the image has none.
    """
    place = Path(os.environ.get(ENGINES_VARIABLE) or ENGINES) / name / "bin" / "python"
    if not place.is_file():
        problem = f"the runner's image has no {name} (there is no {place})"
        remedy = "name a CompressionRuntime in spec.runtime whose image has it (images/runner-engine.Dockerfile)"
        raise BadRecipe("EngineMissing", f"{field}.backend", name, problem, remedy)
    return place


def run(
    name: str, settings: Mapping[str, Any], scratch: Path, field: str, gpu: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Runs an engine's script with settings; returns what it told in the end (versions, and what it did).

    The second part is what was seen of the GPU with this UUID meanwhile, empty where nothing was.
    Raises BadRecipe with its last words where it fails.
    """
    script = SCRIPTS / f"{name.replace('-', '_')}.py"
    asked, told, log = scratch / "settings.json", scratch / "told.json", scratch / "log.txt"
    asked.write_text(json.dumps(dict(settings)))
    # -P: the script's folder is none to import from, where one is called as the engine's package is.
    command = [str(interpreter(name, field)), "-P", str(script), str(asked), str(told)]
    environment = {key: value for key, value in os.environ.items() if key.startswith(PASSED_ON)}
    with log.open("wb") as output, watching(gpu) as watch:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment | OFFLINE, cwd=scratch
        )
        ended, seen = _ended(process, watch), watch.told()
    if ended == 0 and told.is_file():
        return json.loads(told.read_text()), seen
    lines = [" ".join(line.split()) for line in log.read_text(errors="replace").splitlines() if line.strip()]
    if ended == -9 or any("out of memory" in line.lower() for line in lines[-SAID:]):
        remedy = "give the runtime more memory, or fewer or shorter calibration samples"
        raise BadRecipe("OutOfMemory", field, name, "it needs more memory than there is", remedy)
    problem = f"it ended with {ended}: {' / '.join(lines[-SAID:])[-600:]}"
    raise BadRecipe("EngineFailed", field, name, problem, "use backend onnxruntime, or other parameters")


def _ended(process: subprocess.Popen[bytes], watch: GpuWatch) -> int:
    """Waits for the end of an engine, and watches its GPU until then; it never outlives this call."""
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
