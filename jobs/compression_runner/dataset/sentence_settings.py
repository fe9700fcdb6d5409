"""Text settings of sentence-transformers beside a model: its prompt, lower-casing and longest text."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from compression_runner.dataset.problems import bad_data
from compression_runner.dataset.text_lengths import SENTENCE_SETTINGS, LengthLimit, declared_limit

FIELD: Final = "spec.model.source"
PROMPTS: Final = "config_sentence_transformers.json"
UNCHANGED: Final[Mapping[str, object]] = {
    "transformer_task": "feature-extraction",
    "module_output_name": "token_embeddings",
    "processing_kwargs": {},
    "query_expansion": None,
}
"""Settings that change the embeddings, with the only value that is supported."""
PASSED_ON: Final = ("config_args", "config_kwargs", "tokenizer_args", "tokenizer_kwargs", "processor_kwargs")
"""Settings that sentence-transformers passes on as arguments to the loaders of transformers."""
HARMLESS: Final = frozenset({"padding_side", "use_fast", "trust_remote_code", "clean_up_tokenization_spaces"})


@dataclass(frozen=True)
class SentenceSettings:
    """The prompt in front of every text, whether texts are lower-cased, and the longest text in tokens."""

    prompt: str = ""
    lowercase: bool = False
    limit: LengthLimit | None = None

    def text(self, text: str) -> str:
        """Return the text that the tokenizer gets."""
        prompted = self.prompt + text
        return prompted.lower() if self.lowercase else prompted


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model's folder, local or in a store: their relative paths, and a function that reads one."""

    names: Collection[str]
    read: Callable[[str], bytes]

    def settings(self, name: str) -> dict[str, Any]:
        """Return a file of settings; {} if there is none. Raises InvalidInput if it is not a JSON object."""
        if name not in self.names:
            return {}
        try:
            settings = json.loads(self.read(name))
        except ValueError:
            settings = None
        if not isinstance(settings, dict):
            raise bad_data(FIELD, name, "it is not a JSON object", "save the model again")
        return settings


def files_of(folder: Path) -> ModelFiles:
    """Return the files of a local folder."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return ModelFiles(names, lambda name: (folder / name).read_bytes())


def sentence_settings(files: ModelFiles) -> SentenceSettings:
    """Return the settings of a model's folder; the defaults if it has none.

    Raises InvalidInput for an unsupported setting.
    """
    prompts = files.settings(PROMPTS)
    name = prompts.get("default_prompt_name")
    known = prompts.get("prompts") or {}
    if name is not None and name not in known:
        problem = f"its default_prompt_name {name!r} is not one of its prompts"
        raise bad_data(FIELD, PROMPTS, problem, f"name one of {', '.join(known) or 'them'}, or remove it")
    file = next((file for file in SENTENCE_SETTINGS if file in files.names), SENTENCE_SETTINGS[0])
    settings = files.settings(file)
    _require_known(settings, file)
    return SentenceSettings(
        prompt=str(known.get(name) or ""),
        lowercase=settings.get("do_lower_case") is True,
        limit=declared_limit(settings, "max_seq_length", file),
    )


def _require_known(settings: Mapping[str, Any], file: str) -> None:
    for name, value in UNCHANGED.items():
        if settings.get(name, value) != value and settings[name]:
            problem = f"its setting {name} of {json.dumps(settings[name])} is not supported"
            raise bad_data(FIELD, file, problem, "export the model to ONNX yourself, and name that as the source")
    for name in PASSED_ON:
        odd = sorted(set(settings.get(name) or {}) - HARMLESS)
        if odd:
            problem = f"its setting {name}.{odd[0]} is not supported"
            raise bad_data(FIELD, file, problem, "save the model with it in config.json or tokenizer_config.json")
    modalities = settings.get("modality_config") or {}
    text = modalities.get("text", {}) if isinstance(modalities, dict) else {}
    if "message" in modalities or text.get("method_output_name", "last_hidden_state") != "last_hidden_state":
        problem = "its modality_config reads texts as chat messages, or takes another output than last_hidden_state"
        raise bad_data(FIELD, file, problem, "export the model to ONNX yourself, and name that as the source")
