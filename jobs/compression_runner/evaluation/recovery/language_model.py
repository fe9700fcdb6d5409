"""The adapter by which lm-evaluation-harness asks the graph that is judged.

lm-evaluation-harness takes seconds to import, so this module is imported only where a job has tasks.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from lm_eval import utils
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from scipy import special

from compression_runner.errors import InvalidInput
from compression_runner.evaluation.recovery.reading import Reader
from compression_runner.inference.predictor import Predictor
from compressionjob.conditions import INVALID_INPUT

Request = tuple[Any, list[int], list[int]]
"""The texts of a request, the tokens of its context, and those of its continuation."""


class Graph(TemplateLM):  # type: ignore[misc]  # the harness has no types
    """A graph of a causal language model as a model of the harness.

    Tokens are those of the harness's own Transformers model (`hf`): the tokenizer's special tokens, once. Each sequence
    is read alone and without padding, as a served request is. A log-likelihood is NaN if the model's answer is not
    finite.
    """

    def __init__(
        self,
        predictor: Predictor | None,
        tokenizer: Any,
        longest: int | None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> None:
        """Take the model's tokenizer and its most tokens, None without a limit; `advance` takes finished requests.

        Without a predictor, the texts of requests can be counted but not answered.
        """
        super().__init__()
        self.tokenizer = tokenizer
        self.longest = longest
        self._reader = Reader(predictor) if predictor else None
        self._advance = advance
        self._done = 0

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """The token that begins a text without a context."""
        first = self.tokenizer.bos_token_id
        return self.eot_token_id if first is None else int(first)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Return the tokens of a text; a text that begins with the first token does not get it twice."""
        if add_special_tokens is None and string.startswith(self.tokenizer.decode(self.prefix_token_id)):
            add_special_tokens = False
        special_tokens = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return [int(token) for token in self.tokenizer.encode(string, verbose=False, **special_tokens)]

    def tokens_of(self, request: Instance) -> int:
        """Return the most tokens that a request needs: its text, and the answer that it may generate."""
        text, rest = request.args
        if isinstance(rest, dict):
            return len(self.tok_encode(text)) + int(rest["max_gen_toks"])
        return sum(len(part) for part in self._encode_pair(text, rest))

    def loglikelihood(self, requests: Sequence[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """Return the log-likelihood of each continuation, and whether it is the most probable one; no progress bar."""
        return list(super().loglikelihood(requests, disable_tqdm=True))

    def _loglikelihood_tokens(self, requests: Sequence[Request], **_: Any) -> list[tuple[float, bool]]:
        # Sorted by tokens, neighbours have the longest starts in common.
        order = sorted(range(len(requests)), key=lambda index: requests[index][1] + requests[index][2])
        answers: list[tuple[float, bool]] = [(float("nan"), False)] * len(requests)
        for index in order:
            answers[index] = self._likelihood(*requests[index][1:])
            self._finished()
        return answers

    def _likelihood(self, context: list[int], continuation: list[int]) -> tuple[float, bool]:
        """Return the log-likelihood of a continuation, and whether it is the most probable token at each place."""
        logits = self._logits((context + continuation)[:-1], len(continuation))
        places, targets = np.arange(len(continuation)), np.asarray(continuation)
        if not np.isfinite(logits).all():
            return float("nan"), False
        values = logits.astype(np.float64)
        likely = values[places, targets] - special.logsumexp(values, axis=1)
        return float(likely.sum()), bool((logits.argmax(axis=1) == targets).all())

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:
        """Return the log-likelihood of whole texts, in windows of the model's length."""
        totals = []
        for text in (request.args[0] for request in requests):
            windows = utils.get_rolling_token_windows(
                token_list=self.tok_encode(text),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.longest or 2048,
                context_len=1,
            )
            pairs = (utils.make_disjoint_window(window) for window in windows)
            totals.append(sum(self._likelihood(context, continuation)[0] for context, continuation in pairs))
            self._finished()
        return totals

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return the text that follows each context, greedily, up to a stop text, the end token or the most tokens."""
        contexts = [self.tok_encode(request.args[0]) for request in requests]
        texts = [""] * len(requests)
        for index in sorted(range(len(requests)), key=lambda index: contexts[index]):
            settings = requests[index].args[1]
            texts[index] = self._written(contexts[index], settings["until"], settings["max_gen_toks"])
            self._finished()
        return texts

    def _written(self, context: list[int], stops: Sequence[str], most: int) -> str:
        tokens, text = list(context), ""
        while len(tokens) < len(context) + most:
            logits = self._logits(tokens, 1)[0]
            token = int(np.nan_to_num(logits).argmax())
            if token == self.eot_token_id or not np.isfinite(logits).all():
                break
            tokens.append(token)
            text = str(self.tokenizer.decode(tokens[len(context) :], skip_special_tokens=True))
            if any(stop in text for stop in stops):
                break
        return min((text.split(stop)[0] for stop in stops), key=len, default=text)

    def _logits(self, tokens: list[int], wanted: int) -> Any:
        if self._reader is None:
            raise ValueError("this model counts tokens only")
        return self._reader.logits(tokens, wanted)

    def _finished(self) -> None:
        self._done += 1
        self._advance(self._done)


def require_ends(tokenizer: Any) -> None:
    """Raise InvalidInput for a tokenizer without an end token, which ends answers and begins texts."""
    if tokenizer.eos_token_id is None:
        problem, remedy = "its tokenizer names no end token", "name eos_token in tokenizer_config.json"
        raise InvalidInput(INVALID_INPUT, "spec.model.source", "eos_token", problem, remedy)
