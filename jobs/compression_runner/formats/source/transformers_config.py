"""Check by config.json that the architecture of a Transformers model fits the task."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from compression_runner.errors import InvalidInput
from compression_runner.formats.source.head import check_head
from compressionjob.tasks import TASKS, Task

FIELD: Final = "spec.model.task"
SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "text-classification": ("ForSequenceClassification",),
    "text-regression": ("ForSequenceClassification",),
    "text-generation": ("ForCausalLM", "LMHeadModel"),
    "image-classification": ("ForImageClassification", "ForImageClassificationWithTeacher"),
    "audio-classification": ("ForAudioClassification", "ForSequenceClassification"),
    "video-classification": ("ForVideoClassification",),
    "summarization": ("ForConditionalGeneration",),
    "automatic-speech-recognition": ("ForCTC", "ForConditionalGeneration"),
    "text-embedding": ("Model", "ForMaskedLM", "ForPreTraining"),
}
TOKENIZERS: Final = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")


def parse_config(content: bytes, field: str) -> dict[str, Any]:
    """Return the configuration of a model.

    Raises InvalidInput if it is not a JSON object, or needs remote code.
    """
    try:
        config = json.loads(content)
    except ValueError as error:
        raise InvalidInput(
            "InvalidFile", field, "config.json", f"it is not JSON ({error})", "upload it again"
        ) from error
    if not isinstance(config, dict) or "model_type" not in config:
        problem = "it names no model_type"
        raise InvalidInput("InvalidFile", field, "config.json", problem, "save the model with save_pretrained")
    if config.get("auto_map"):
        problem = "the model needs its own code (auto_map), which is never run"
        raise InvalidInput("RemoteCode", field, "config.json", problem, "use an architecture that transformers has")
    return config


def check_task(config: Mapping[str, Any], task: Task, names: Sequence[str]) -> str:
    """Return the architecture.

    Raises InvalidInput if it does not fit the task, or the tokenizer is missing.
    """
    architectures = config.get("architectures") or []
    architecture = str(architectures[0]) if architectures else ""
    if task not in SUFFIXES:
        remedy = "write the task of the model, such as text-classification, or name an ONNX model"
        raise InvalidInput("TaskMismatch", FIELD, task, f"the source is a Transformers model ({architecture})", remedy)
    if not architecture.endswith(SUFFIXES[task]):
        expected = " or ".join(f"*{suffix}" for suffix in SUFFIXES[task])
        problem = f"the model is a {architecture or 'model without architectures'}, the task needs {expected}"
        raise InvalidInput("TaskMismatch", FIELD, task, problem, "correct the task, or the source")
    check_head(config, task)
    if (TASKS[task].content == "text" or TASKS[task].writes) and not any(name in names for name in TOKENIZERS):
        problem = f"none of {', '.join(TOKENIZERS)} is beside the weights"
        raise InvalidInput(
            "TokenizerMissing", "spec.model.source", architecture, problem, "upload the tokenizer's files"
        )
    return architecture
