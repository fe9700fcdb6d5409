"""The task of a model, from its config.json in a local folder or on the Hugging Face Hub."""

import json
import os
import re
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from compressionjob.tasks import TASKS
from kubectl_compress.errors import PluginError

HUB: Final = "https://huggingface.co"
TIMEOUT: Final = 10.0
"""Timeout in seconds of a request to the Hub."""
MAX_CONFIG: Final = 4 * 2**20

_REPOSITORY: Final = re.compile(r"(?:hf://)?([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?(?:/.*)?", re.ASCII)
_SPEECH: Final = ("whisper", "speech", "wav2vec2", "hubert", "moonshine")
# The end of an architecture's name -> the task, in this order.
_ARCHITECTURES: Final = (
    ("ForImageClassification", "image-classification"),
    ("ForVideoClassification", "video-classification"),
    ("ForAudioClassification", "audio-classification"),
    ("ForCTC", "automatic-speech-recognition"),
    ("ForSpeechSeq2Seq", "automatic-speech-recognition"),
    ("ForConditionalGeneration", "summarization"),
    ("ForSequenceClassification", "text-classification"),
    ("ForCausalLM", "text-generation"),
    ("LMHeadModel", "text-generation"),
    ("Model", "text-embedding"),
    ("ForMaskedLM", "text-embedding"),
)


def task_of(config: Mapping[str, Any]) -> str:
    """Return the task of a model with this config.json; "" if it is unknown."""
    architecture = str((config.get("architectures") or [""])[0])
    kind = str(config.get("model_type", ""))
    for ending, task in _ARCHITECTURES:
        if architecture.endswith(ending):
            return _by_head(_by_kind(task, kind), config)
    return ""


def _by_kind(task: str, kind: str) -> str:
    speaks = any(word in kind for word in _SPEECH)
    if speaks and task == "summarization":
        return "automatic-speech-recognition"
    return "audio-classification" if speaks and task == "text-classification" else task


def _by_head(task: str, config: Mapping[str, Any]) -> str:
    """Return the task of a classifier, which is regression if its head has a single output."""
    labels = config.get("id2label") or {}
    number = config.get("problem_type") == "regression" or config.get("num_labels") == 1 or len(labels) == 1
    return "text-regression" if task == "text-classification" and number and "text-regression" in TASKS else task


def read_local(place: Path) -> tuple[str, str]:
    """Return the task of a local model and the reason, from its files; ("", reason) if the task is unknown."""
    suffixes = {".onnx": "onnx", ".gguf": "text-generation"}
    if place.is_file():
        return suffixes.get(place.suffix.lower(), ""), f"the file is {place.suffix or 'of no known kind'}"
    if (place / "modules.json").is_file():
        return "text-embedding", "the folder is one of sentence-transformers (modules.json)"
    config = place / "config.json"
    if not config.is_file():
        graphs = sorted(item for item in place.iterdir() if item.suffix.lower() in suffixes)
        return (suffixes[graphs[0].suffix.lower()], f"it has {graphs[0].name}") if graphs else ("", "no config.json")
    try:
        return _guessed(json.loads(config.read_text(encoding="utf-8")))
    except OSError as error:
        return "", f"its config.json cannot be read: {error.strerror}"
    except ValueError:
        return "", "its config.json is not JSON"


def read_on_hub(model: str) -> tuple[str, str]:
    """Return the task of a model on the Hub and the reason; ("", reason) if the task is unknown.

    Raises PluginError if there is no such model.
    """
    match = _REPOSITORY.fullmatch(model)
    if match is None:
        return "", "the name is not ORG/NAME"
    repository, revision = match[1], quote(match[2] or "main", safe="")
    try:
        if _fetch(repository, revision, "modules.json") is not None:
            return "text-embedding", "it is a model of sentence-transformers (modules.json)"
        config = _fetch(repository, revision, "config.json")
    except (OSError, HTTPException) as error:
        return "", f"the Hub does not answer ({_cause(error)})"
    except ValueError:
        return "", "its config.json is not JSON"
    return ("", "it has no config.json") if config is None else _guessed(config)


def _cause(error: OSError | HTTPException) -> str:
    """Return why there was no answer, without error numbers."""
    inner = getattr(error, "reason", error)
    words = getattr(inner, "strerror", None) or (inner if isinstance(inner, str) else "")
    return str(words or "the connection was lost")


def _guessed(config: Any) -> tuple[str, str]:
    if not isinstance(config, dict):
        return "", "its config.json is not a mapping"
    architectures = ", ".join(map(str, config.get("architectures") or ())) or "no architectures"
    return task_of(config), f"config.json names {architectures}"


def _fetch(repository: str, revision: str, name: str) -> Any:
    """Return a JSON file of a repository; None if it does not exist."""
    address = f"{os.environ.get('HF_ENDPOINT', HUB).rstrip('/')}/{repository}/resolve/{revision}/{name}"
    token = os.environ.get("HF_TOKEN")
    request = Request(address)
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")  # another host must not see it
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:
            return json.loads(answer.read(MAX_CONFIG))
    except HTTPError as error:
        if error.code == 404:
            return None
        if error.code in (401, 403):
            problem = f"the Hub says {error.code} for {repository}: there is no such model, or it is not public"
            raise PluginError(problem, "correct the name, or set HF_TOKEN and accept the model's terms") from error
        raise
