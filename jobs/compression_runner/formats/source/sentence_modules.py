"""The modules of sentence-transformers behind a model, from modules.json and the folders in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from compression_runner.dataset.sentence_settings import PROMPTS, ModelFiles, sentence_settings
from compression_runner.errors import BadRecipe, InvalidInput

FIELD: Final = "spec.model.source"
MODULES: Final = "modules.json"
PACKAGE: Final = "sentence_transformers."
MODES: Final = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
OLD_MODES: Final = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Settings of versions before 5.4: one switch per mode, in the order of concatenation."""
DIMENSIONS: Final = ("embedding_dimension", "word_embedding_dimension")
ACTIVATIONS: Final = ("Identity", "Tanh", "ReLU", "GELU", "Sigmoid", "SiLU", "LeakyReLU", "ELU", "Mish", "Softplus")
"""Classes of torch.nn that a Dense module may name."""
EMBEDDING: Final = "sentence_embedding"
WEIGHTS: Final = "model.safetensors"


@dataclass(frozen=True)
class Dense:
    """A linear layer with an activation (a class of torch.nn), with weights in a folder of its own."""

    folder: str
    inputs: int
    outputs: int
    bias: bool = True
    activation: str = "Tanh"
    residual: bool = False


@dataclass(frozen=True)
class LayerNorm:
    """A layer normalization, with weights in a folder of its own."""

    folder: str
    width: int


@dataclass(frozen=True)
class Normalize:
    """Embeddings of length 1."""


@dataclass(frozen=True)
class SentencePooling:
    """Pooling of token states to embeddings: pool in each mode, concatenate, then apply each step.

    `prompt` is the text whose tokens are not pooled, "" if all tokens are pooled.
    """

    modes: tuple[str, ...] = ("mean",)
    prompt: str = ""
    steps: tuple[Dense | LayerNorm | Normalize, ...] = ()

    @property
    def weights(self) -> tuple[str, ...]:
        """The files with the weights of the steps."""
        return tuple(f"{step.folder}/{WEIGHTS}" for step in self.steps if not isinstance(step, Normalize))


def read_pooling(files: ModelFiles) -> SentencePooling:
    """Return the pooling of a folder; without modules.json the mean, as in sentence-transformers.

    Raises BadRecipe, with the module or mode, if the exported graph cannot include it, and InvalidInput for files that
    sentence-transformers cannot read either.
    """
    settings = sentence_settings(files)
    if MODULES not in files.names:
        if settings.prompt:
            problem = f"{PROMPTS} puts a prompt in front of texts, and {MODULES} is missing"
            raise InvalidInput("FileMissing", FIELD, MODULES, problem, "upload the whole folder of the model")
        return SentencePooling()
    kinds = _modules(files.read(MODULES))
    if [kind for kind, _ in kinds[:2]] != ["Transformer", "Pooling"]:
        names = ", ".join(kind for kind, _ in kinds)
        raise _unsupported(MODULES, f"the modules {names} do not begin with Transformer and Pooling")
    if kinds[0][1]:
        raise _unsupported(MODULES, f"the Transformer is in the folder {kinds[0][1]}, not beside {MODULES}")
    modes, whole = _pooled(files.settings(f"{kinds[1][1]}/config.json"), f"{kinds[1][1]}/config.json")
    steps = [_step(files, kind, folder) for kind, folder in kinds[2:]]
    return SentencePooling(modes, "" if whole else settings.prompt, tuple(step for step in steps if step is not None))


def _modules(content: bytes) -> list[tuple[str, str]]:
    """Return the kind and the folder of each module."""
    try:
        entries = [(str(entry["type"]), str(entry["path"])) for entry in json.loads(content)]
    except (ValueError, TypeError, KeyError) as error:
        problem = "it is not a list of modules with a type and a path each"
        raise InvalidInput("InvalidFile", FIELD, MODULES, problem, "save the model again") from error
    for kind, folder in entries:
        if not kind.startswith(PACKAGE):
            problem = f"the module {kind} is code of the model, which is never run"
            raise InvalidInput("RemoteCode", FIELD, MODULES, problem, "export the model to ONNX yourself")
        if folder.startswith("/") or ".." in PurePosixPath(folder).parts or "\\" in folder:
            problem = f"the path {folder} is outside the model's folder"
            raise InvalidInput("PathRefused", FIELD, MODULES, problem, "save the model again")
    return [(kind.rsplit(".", 1)[-1], folder.strip("/")) for kind, folder in entries]


def _pooled(config: Mapping[str, Any], file: str) -> tuple[tuple[str, ...], bool]:
    """Return the modes, and whether the tokens of a prompt are pooled too."""
    if not config:
        raise InvalidInput("InvalidFile", FIELD, file, "it is missing or empty", "save the model again")
    known = {*DIMENSIONS, *OLD_MODES, "pooling_mode", "include_prompt"}
    odd = next((name for name in config if name not in known), None)
    if odd is not None:
        raise _unsupported(file, f"the pooling {odd} is unknown")
    old = tuple(mode for name, mode in OLD_MODES.items() if config.get(name)) or ("mean",)
    modes_setting = config.get("pooling_mode", old)
    modes = (modes_setting,) if isinstance(modes_setting, str) else modes_setting
    if not isinstance(modes, list | tuple) or not modes:
        raise _unsupported(file, f"the pooling {json.dumps(modes_setting)} is unknown")
    unknown = next((mode for mode in modes if mode not in MODES), None)
    if unknown is not None:
        raise _unsupported(file, f"the pooling {json.dumps(unknown)} is unknown")
    return tuple(modes), bool(config.get("include_prompt", True))


def _step(files: ModelFiles, kind: str, folder: str) -> Dense | LayerNorm | Normalize | None:
    """Return a module behind the pooling; None for one without effect outside of training."""
    file = f"{folder}/config.json"
    config = files.settings(file)
    where = {config.get("module_input_name", EMBEDDING), config.get("module_output_name") or EMBEDDING}
    if where != {EMBEDDING}:
        raise _unsupported(file, f"the module {kind} works on {', '.join(sorted(where - {EMBEDDING}))}")
    if kind == "Normalize":
        return Normalize()
    if kind == "Dropout":
        return None
    if kind == "LayerNorm":
        _require_weights(files, folder)
        return LayerNorm(folder, _size(config, "dimension", file))
    if kind != "Dense":
        raise _unsupported(MODULES, f"the module {kind} is not supported")
    _require_weights(files, folder)
    return Dense(
        folder,
        _size(config, "in_features", file),
        _size(config, "out_features", file),
        bool(config.get("bias", True)),
        _activation(str(config.get("activation_function", "torch.nn.Tanh")), file),
        bool(config.get("use_residual", False)),
    )


def _activation(name: str, file: str) -> str:
    short = name.rsplit(".", 1)[-1]
    if not name.startswith("torch.nn.") or short not in ACTIVATIONS:
        raise _unsupported(file, f"the activation_function {name} is not one of {', '.join(ACTIVATIONS)}")
    return short


def _size(config: Mapping[str, Any], name: str, file: str) -> int:
    value = config.get(name)
    if not isinstance(value, int) or value < 1:
        raise InvalidInput("InvalidFile", FIELD, file, f"it has no {name}", "save the model again")
    return value


def _require_weights(files: ModelFiles, folder: str) -> None:
    if f"{folder}/{WEIGHTS}" not in files.names:
        problem = f"{WEIGHTS} is missing in it (a pickle, such as pytorch_model.bin, is not read)"
        raise InvalidInput("PickleRefused", FIELD, folder, problem, "save the model with a newer sentence-transformers")


def _unsupported(file: str, problem: str) -> BadRecipe:
    remedy = "export the model to ONNX yourself, and name that as the source"
    return BadRecipe("UnsupportedModel", FIELD, file, problem, remedy)
