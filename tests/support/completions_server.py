"""A stand-in for a serving engine: it streams completions with known times to first token and gaps between tokens.

`python -m tests.support.completions_server --port N ...` answers as vLLM's OpenAI-compatible server does, as far as the
runner uses it.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from compression_runner.inference.serving.server import Command
from tests.support.served_model import ServedModel, scales_of


@dataclass(frozen=True)
class Behaviour:
    """Times are a constant and an exponential part of these means, in seconds; at most `slots` requests at a time.

    An answer ends after `length` tokens, or 1 to `length` by the prompt with `vary`, unless the request ignores the
    end. The share `failing` of the requests ends in the middle of an answer.
    """

    ttft: float = 0.004
    ttft_more: float = 0.004
    gap: float = 0.001
    gap_more: float = 0.001
    slots: int = 256
    length: int = 16
    vary: bool = False
    failing: float = 0.0
    dies_after: int = 0
    seed: int = 0


class Stand:
    """The handlers of a server with one behaviour, and with a model for predictions."""

    def __init__(self, behaviour: Behaviour, model: Path | None = None) -> None:
        self._it = behaviour
        self._model = model
        self._served: ServedModel | None = None
        self._slots = asyncio.Semaphore(behaviour.slots)
        self._random = random.Random(behaviour.seed)
        self._answered = 0

    async def health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "1.2.3"})

    async def completions(self, request: web.Request) -> web.StreamResponse:
        """Stream one answer; its times are drawn when it arrives, and waiting for a slot comes before them."""
        arrived = time.perf_counter()
        body = await request.json()
        if "prompt_logprobs" in body:
            return web.json_response({"choices": [{"prompt_logprobs": self._loaded().predict(body["prompt"])}]})
        self._answered += 1
        if self._it.dies_after and self._answered > self._it.dies_after:
            sys.exit(3)
        length = self._length(body)
        ends = self._random.randrange(length) if self._random.random() < self._it.failing else length
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        waiting = self._it.slots < 256
        async with self._slots:
            due = (time.perf_counter() if waiting else arrived) + self._draw(self._it.ttft, self._it.ttft_more)
            await response.prepare(request)
            for token in range(1, ends + 1):
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                await response.write(_event(token))
                due += self._draw(self._it.gap, self._it.gap_more)
            if ends < length:
                assert request.transport
                request.transport.abort()
            await response.write(b"data: [DONE]\n\n")
        return response

    async def compare_scales(self, request: web.Request) -> web.Response:
        """Answer that all scales are loaded, as a worker of vLLM answers to `compare_scales`."""
        folder = Path((await request.json())["args"][0])
        return web.json_response({"results": [{"tensors": len(scales_of(folder)), "missing": {}}]})

    def _loaded(self) -> ServedModel:
        assert self._model
        self._served = self._served or ServedModel(self._model)
        return self._served

    def _length(self, body: dict[str, Any]) -> int:
        if body.get("ignore_eos"):
            return int(body["max_tokens"])
        own = 1 + sum(body["prompt"]) % self._it.length if self._it.vary else self._it.length
        return min(own, int(body["max_tokens"]))

    def _draw(self, least: float, more: float) -> float:
        return least + (self._random.expovariate(1.0 / more) if more else 0.0)


def command(log: Path, start_seconds: float = 60.0, **behaviour: Any) -> Command:
    """Return the command of a stand-in."""
    written = json.dumps(behaviour)
    arguments = [sys.executable, "-m", "tests.support.completions_server", "--port", "{port}", "--behaviour", written]
    return Command(arguments, {"PYTHONPATH": ":".join(sys.path)}, log, start_seconds)


def _event(token: int) -> bytes:
    event = {"choices": [{"index": 0, "text": "a"}], "usage": {"completion_tokens": token}}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--behaviour", default="{}")
    parser.add_argument("--model", type=Path)
    # A runner starts it with the options of vLLM's server, which it does not need.
    chosen, _ = parser.parse_known_args()
    app = application(Stand(Behaviour(**json.loads(chosen.behaviour)), chosen.model))
    web.run_app(app, host="127.0.0.1", port=chosen.port, print=None)


def application(stand: Stand) -> web.Application:
    """Return the addresses of a server."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/health", stand.health),
            web.get("/version", stand.version),
            web.post("/v1/completions", stand.completions),
            web.post("/collective_rpc", stand.compare_scales),
        ]
    )
    return app


if __name__ == "__main__":
    main()
