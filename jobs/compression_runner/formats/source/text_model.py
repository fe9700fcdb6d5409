"""Check the text settings of a Transformers model before any download of weights."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from compression_runner.dataset.labels import names_of
from compression_runner.dataset.pad_tokens import REMEDY, is_token
from compression_runner.dataset.problems import bad_data
from compression_runner.dataset.sentence_settings import ModelFiles, sentence_settings
from compression_runner.dataset.text_lengths import (
    CONFIG,
    TOKENIZER,
    LengthLimit,
    declared_limit,
    position_limit,
    shortest,
)
from compression_runner.errors import BadRecipe
from compression_runner.formats.source.sentence_modules import MODULES, read_pooling
from compressionjob.tasks import TASKS, Task

FIELD: Final = "spec.model.source"
WITHOUT_PAD_TOKEN: Final = frozenset(
    {
        "arcee", "axk1", "axk2", "bloom", "ctrl", "deepseek_v2", "deepseek_v3", "diffllama", "doge", "exaone4",
        "falcon", "gpt-sw3", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_oss", "gptj", "jetmoe", "llama",
        "minicpm3", "minimax", "ministral", "mistral", "mixtral", "mpt", "nemotron", "openai-gpt", "persimmon", "phi",
        "phimoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_5", "qwen3_5_text", "qwen3_moe", "qwen3_next", "stablelm",
        "starcoder2",
    }
)  # fmt: skip
"""Decoders without a default pad token; as classifiers they use the output at the last token other than padding."""
TOKENIZERS_WITHOUT_PAD_TOKEN: Final = frozenset(
    {
        "CodeGenTokenizer",
        "GPT2Tokenizer",
        "GPT2TokenizerFast",
        "LlamaTokenizer",
        "LlamaTokenizerFast",
        "PreTrainedTokenizerFast",
        "TokenizersBackend",
    }
)
"""Classes of tokenizers without a default pad token."""
ENCODER_ALONE: Final = frozenset(
    {
        "blenderbot", "blenderbot-small", "longt5", "m2m_100", "marian", "moonshine", "pegasus", "pegasus_x",
        "prophetnet", "switch_transformers", "t5gemma", "t5gemma2", "udop", "whisper",
    }
)  # fmt: skip
"""Models of an encoder and a decoder for which sentence-transformers loads the encoder by a class of its own."""

POOLED: Final = frozenset({"sentence_embedding", "embeddings"})
TOKEN_STATES: Final = frozenset({"last_hidden_state", "token_embeddings"})
"""Names that exporters give to embeddings of texts, and to states of tokens."""


@dataclass(frozen=True)
class TextModel:
    """The maximum length of a text in tokens, and weight files of modules behind the model."""

    limit: LengthLimit | None = None
    weights: tuple[str, ...] = ()


def check_text_model(config: Mapping[str, Any], files: ModelFiles, task: Task) -> TextModel:
    """Return the text settings of a model; the defaults for tasks without texts.

    Raises InvalidInput or BadRecipe for contradictory label maps, a model without a pad token, and an unknown pooling.
    """
    if TASKS[task].classifies:
        names_of(config)
    if TASKS[task].content != "text":
        return TextModel()
    positions = position_limit(config)
    if TASKS[task].running_text:
        return TextModel(positions)
    _require_pad_token(config, files, task)
    declared = declared_limit(files.settings(TOKENIZER), "model_max_length", TOKENIZER)
    if task != "text-embedding":
        return TextModel(shortest(positions, declared))
    if config.get("model_type") in ENCODER_ALONE:
        problem = f"sentence-transformers uses only the encoder of a {config['model_type']}, which is not supported"
        remedy = "export the model to ONNX yourself, and name that as the source"
        raise BadRecipe("UnsupportedModel", FIELD, CONFIG, problem, remedy)
    limit = sentence_settings(files).limit or declared
    return TextModel(shortest(positions, limit), read_pooling(files).weights)


def check_text_graph(outputs: Collection[str], files: ModelFiles, task: Task) -> None:
    """Raise BadRecipe for a graph that returns token states if modules.json pools them other than by their mean."""
    if task != "text-embedding" or MODULES not in files.names:
        return
    if POOLED.intersection(outputs) or not TOKEN_STATES.intersection(outputs):
        return
    pooling = read_pooling(files)
    if pooling.modes != ("mean",) or pooling.prompt or pooling.weights:
        ways = ", ".join([*pooling.modes, *(file.partition("/")[0] for file in pooling.weights)])
        problem = f"the graph returns token states, whose mean is measured; modules.json pools them by {ways}"
        remedy = "name the original model, or export it with its pooling as the output sentence_embedding"
        raise BadRecipe("UnsupportedModel", FIELD, MODULES, problem, remedy)


def _require_pad_token(config: Mapping[str, Any], files: ModelFiles, task: Task) -> None:
    """Raise InvalidInput for a decoder if no file names a pad token; for a classifier, config.json must name it."""
    named = is_token(config.get("pad_token_id"), config)
    if named or config.get("model_type") not in WITHOUT_PAD_TOKEN:
        return
    if task == "text-classification":
        problem = "it names no pad_token_id of the vocabulary, so the model cannot locate the end of a text in a batch"
        raise bad_data(FIELD, CONFIG, problem, REMEDY)
    tokenizer = files.settings(TOKENIZER)
    others = (tokenizer, files.settings("special_tokens_map.json"))
    if any(settings.get("pad_token") for settings in others) or files.settings("generation_config.json").get(
        "pad_token_id"
    ):
        return
    if tokenizer.get("tokenizer_class", "PreTrainedTokenizerFast") in TOKENIZERS_WITHOUT_PAD_TOKEN:
        problem = "neither it nor config.json names a pad token to fill up shorter texts of a batch"
        raise bad_data(FIELD, TOKENIZER, problem, REMEDY)
