"""The two load generators: each sends requests to a server with constant times, and returns how long they took."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.tooling import interpreter_of, timed
from compression_runner.evaluation.serving.client import Client, Request
from compression_runner.evaluation.serving.load import Load, run_load
from compression_runner.evaluation.serving.served_block import ServedBlock
from samples.smollm import smollm2

REQUIREMENTS: Final = Path(__file__).with_name("guidellm-requirements.txt")
MODEL: Final = "stand-in"
PROMPT_TOKENS: Final = 64
TOKENS: Final = 16
TIMEOUT: Final = 60.0


@dataclass(frozen=True)
class Block:
    """Seconds to the first token, and between tokens on average, of each request."""

    ttft: NDArray[np.float64]
    tpot: NDArray[np.float64]


def serving_client(url: str, concurrency: int, requests: int, seed: int) -> Block:
    """Send requests as the serving benchmark does: LoadGen issues them, and the client times tokens."""
    request = Request(MODEL, [[1] * PROMPT_TOKENS] * 16, TOKENS, exact=True, timeout=TIMEOUT)
    with Client(url, request) as client:
        loaded = run_load(client, Load(concurrency=concurrency, settle=concurrency), 16, requests, seed)
    block = ServedBlock(loaded, TOKENS)
    return Block(block.seconds("ttft"), block.seconds("timePerOutputToken"))


def guidellm(url: str, concurrency: int, requests: int, work: Path) -> Block:
    """Send requests with GuideLLM in a process of its own. Raises ToolFailedError."""
    written, tokenizer = work / "guidellm.json", work / "smollm2"
    if not tokenizer.is_dir():
        smollm2(tokenizer)
    command = [
        str(interpreter_of("guidellm", REQUIREMENTS).with_name("guidellm")),
        "run",
        f"--backend=kind=openai_http,target={url},model={MODEL},request_format=/v1/completions",
        f"--profile=kind=concurrent,streams={concurrency}",
        f"--constraint=kind=max_requests,count={requests}",
        f"--tokenizer=kind=hf_auto,model={tokenizer}",
        f"--data=kind=synthetic_text,prompt_tokens={PROMPT_TOKENS},output_tokens={TOKENS}",
        f"--output=kind=json,path={written}",
        "--disable-console-interactive",
    ]
    timed(command, {"HF_HUB_OFFLINE": "1"}, work / "guidellm.log")
    answers: list[dict[str, Any]] = json.loads(written.read_text())["benchmarks"][0]["requests"]["successful"]
    names = "time_to_first_token_ms", "inter_token_latency_ms"
    return Block(*(np.array([answer[name] for answer in answers]) / 1000 for name in names))
