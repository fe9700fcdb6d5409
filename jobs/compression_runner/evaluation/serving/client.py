"""Requests to a server of OpenAI completions, with the moment of every token.

Prompts are token ids, and answers are greedy, so both models answer exactly the same requests. The server reports how
many tokens each part of its answer completes (`continuous_usage_stats`): a part may hold several tokens, or none that
is a whole character.

aiohttp is a tenth of what a run imports, so it is imported only where a server is asked.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from compressionjob.figures import short_number

COMPLETIONS: Final = "/v1/completions"
CANCELLED: Final = "cancelled"
_DATA: Final = b"data:"
_DONE: Final = b"[DONE]"


@dataclass(frozen=True)
class Request:
    """What every request asks for: prompts of token ids, the most tokens of an answer, and the seconds for it.

    With `exact`, an answer has exactly `longest` tokens.
    """

    model: str
    prompts: Sequence[Sequence[int]]
    longest: int
    exact: bool
    timeout: float

    def body(self, index: int) -> dict[str, Any]:
        """Return the body of the request with prompt `index`."""
        return {
            "model": self.model,
            "prompt": list(self.prompts[index]),
            "max_tokens": self.longest,
            "temperature": 0.0,
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
            **({"ignore_eos": True} if self.exact else {}),
        }


@dataclass
class Answer:
    """One request and its answer; moments are those of `time.perf_counter`, in seconds.

    `arrival` is when the request was due, which is before `sent` if it was sent late. `tokens` has the moment of each
    token. `error` says why the request failed; empty if it did not. `late` is whether it took too long.
    """

    prompt: int
    arrival: float
    sent: float = 0.0
    tokens: list[float] = field(default_factory=list)
    done: float = 0.0
    error: str = ""
    late: bool = False


class Client:
    """Sends requests to one server, from a thread of its own."""

    def __init__(self, url: str, request: Request) -> None:
        self._url = f"{url}{COMPLETIONS}"
        self._request = request
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="serving-client", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: Any

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def send(self, answer: Answer, done: Callable[[Answer], None]) -> None:
        """Send a request; `done` is called when it has ended. For the client's thread."""

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            # A task that is cancelled before it begins does nothing, not even this.
            if task.cancelled():
                answer.error = CANCELLED
            elif (unforeseen := task.exception()) is not None:
                answer.error = f"the answer cannot be read ({type(unforeseen).__name__})"
            answer.done = time.perf_counter()
            done(answer)

        task = self._loop.create_task(self._answer(answer))
        self._tasks.add(task)
        task.add_done_callback(ended)

    def call(self, function: Callable[[], None]) -> None:
        """Call a function in the client's thread, from any thread."""
        self._loop.call_soon_threadsafe(function)

    def call_later(self, seconds: float, function: Callable[[], None]) -> None:
        """Call a function in the client's thread in so many seconds, from any thread."""

        def wait() -> None:
            self._loop.call_later(seconds, function)

        self.call(wait)

    def cancel(self) -> None:
        """Cancel all requests that have not ended; their `done` is called. For the client's thread."""
        for task in tuple(self._tasks):
            task.cancel()

    def ask(self, prompt: int) -> Answer:
        """Return the answer to one request, alone."""
        ended = threading.Event()
        answer = Answer(prompt, time.perf_counter())
        self.call(lambda: self.send(answer, lambda _: ended.set()))
        ended.wait()
        return answer

    async def _open(self) -> None:
        import aiohttp

        # Each request has a connection of its own, as those of many users have: a server closes idle connections, and a
        # request on one of them would fail. There is no limit but the load's own, and no proxy before this machine.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=self._request.timeout),
            trust_env=False,
        )

    async def _close(self) -> None:
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    async def _answer(self, answer: Answer) -> None:
        import aiohttp

        answer.sent = time.perf_counter()
        try:
            answer.error = await self._read(answer)
        except TimeoutError:
            answer.late = True
            answer.error = f"no whole answer in {short_number(self._request.timeout, 4)} s"
        except aiohttp.ClientError as error:
            answer.error = f"the connection failed ({type(error).__name__})"
        except ValueError:
            answer.error = "the answer is no stream of JSON events"

    async def _read(self, answer: Answer) -> str:
        """Read an answer; return why it is not whole, empty if it is."""
        async with self._session.post(self._url, json=self._request.body(answer.prompt)) as response:
            if response.status != 200:
                return f"HTTP status {response.status}"
            async for line in response.content:
                now = time.perf_counter()
                if not line.startswith(_DATA):
                    continue
                data = line[len(_DATA) :].strip()
                if data == _DONE:
                    return self._shortfall(answer)
                event = json.loads(data)
                if "error" in event:
                    return "the server reported an error"
                completed = int((event.get("usage") or {}).get("completion_tokens", len(answer.tokens)))
                answer.tokens += [now] * (completed - len(answer.tokens))
        return "the answer ended early"

    def _shortfall(self, answer: Answer) -> str:
        if not answer.tokens:
            return "the answer has no tokens"
        if self._request.exact and len(answer.tokens) != self._request.longest:
            return f"the answer has {len(answer.tokens)} of {self._request.longest} tokens"
        return ""
