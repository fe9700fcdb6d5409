"""A process imports only modules that its job uses. Each library here takes up to seconds of CPU time."""

import subprocess
import sys
from pathlib import Path

import yaml

from tests.support import tiny_models

OTHER_JOBS = {
    "accelerate",
    "aiohttp",
    "boto3",
    "botocore",
    "captum",
    "compressed_tensors",
    "datasets",
    "fairlearn",
    "gguf",
    "lm_eval",
    "lz4",
    "matplotlib",
    "nncf",
    "openvino",
    "optuna",
    "pandas",
    "sklearn",
    "tensorly",
    "torch_pruning",
    "torchmetrics",
    "zipnn",
}
"""Modules for other sources, methods, formats and measurements than those of the job below."""
HEAVY = {"huggingface_hub", "jinja2", "onnxruntime", "sympy", "torch", "transformers"}
"""Modules that `plan` never needs; scipy computes the decidable differences of a run."""
PROGRAM = """
import atexit, gc, os, sys
from compression_runner.__main__ import main
from compressionjob.exit_codes import ExitCode

atexit.register(lambda: print("frozen", gc.get_freeze_count() > 0))  # handlers run in reverse order

def imported():
    print("waits", os.environ["OMP_WAIT_POLICY"])
    print("imported", *sorted({name.split(".")[0] for name in sys.modules}))

if sys.argv[1] == "plan":
    assert main(sys.argv[1:]) == ExitCode.DONE
    imported()
else:
    import compression_runner.pipeline.run as story

    def measure(*_arguments, **_settings):
        imported()
        raise SystemExit(0)

    story.measure = measure
    main(sys.argv[1:])
"""


def lines_of(*arguments: object) -> dict[str, set[str]]:
    """Return the imports of a command in its own process, up to the measurement."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    lines = (line.split() for line in ended.stdout.splitlines())
    return {words[0]: set(words[1:]) for words in lines if words and words[0] in ("waits", "imported", "frozen")}


def write_job(folder: Path) -> Path:
    """Return a job that quantizes a Transformers directory on this machine."""
    tiny_models.bert(folder / "bert")
    tiny_models.text_data(folder / "sentences.parquet")
    job = {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionJob",
        "metadata": {"name": "tiny"},
        "spec": {
            "model": {"source": "file://./bert", "task": "text-embedding"},
            "data": {"evaluation": {"source": "file://./sentences.parquet"}},
            "pipeline": [{"quantize": {"method": "dynamic", "granularity": "channel"}}],
            "sla": {"size": {"maxRatio": "0.9"}},
            "benchmark": {"sequenceLength": 16},
            "output": {"destination": "file://./published"},
        },
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    return folder / "job.yaml"


def test_a_plan_imports_nothing_that_runs_models(tmp_path: Path) -> None:
    lines = lines_of("plan", write_job(tmp_path))
    assert {"pyarrow", "yaml"} <= lines["imported"], "the list is of what the command imported"
    assert lines["imported"] & (OTHER_JOBS | HEAVY) == set()
    assert lines["frozen"] == {"True"}, "no cycles are looked for at the end of the process"


def test_a_run_imports_nothing_that_only_other_jobs_use(tmp_path: Path) -> None:
    lines = lines_of("run", write_job(tmp_path), "--workdir", tmp_path / "work")
    assert {"torch", "transformers", "onnxruntime"} <= lines["imported"], "it exported and quantized the model"
    assert lines["imported"] & OTHER_JOBS == set()
    assert lines["waits"] == {"passive"}, "torch's threads take no CPU while they wait"
