"""Load a Transformers directory: safetensors only, no code from the directory, no random weights."""

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors.torch import load_file
from transformers import (
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForCausalLM,
    AutoModelForCTC,
    AutoModelForImageClassification,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForSpeechSeq2Seq,
    AutoModelForTextEncoding,
    AutoModelForVideoClassification,
    CompressedTensorsConfig,
)

from compression_runner import garbage_collection
from compression_runner.dataset.text_lengths import position_limit
from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, InvalidInput, cause
from compression_runner.formats import float8_checkpoint, input_rounding, surgery
from compression_runner.formats.finite_weights import require_finite_module
from compression_runner.formats.safetensors_files import save_shard
from compressionjob.spec import Task

CLASSES: Final[dict[str, Any]] = {
    "text-embedding": AutoModel,
    "text-classification": AutoModelForSequenceClassification,
    "text-regression": AutoModelForSequenceClassification,
    "text-generation": AutoModelForCausalLM,
    "image-classification": AutoModelForImageClassification,
    "audio-classification": AutoModelForAudioClassification,
    "video-classification": AutoModelForVideoClassification,
    "summarization": AutoModelForSeq2SeqLM,
    "automatic-speech-recognition": AutoModelForSpeechSeq2Seq,
}
ENCODERS: Final = ("t5", "mt5", "umt5")
"""Types of models with a decoder that embeddings do not use, as in sentence-transformers."""
FIELD: Final = "spec.model.source"
WEIGHTS: Final = "model.safetensors"
LOADING_ERRORS: Final[tuple[type[Exception], ...]] = (StrictDataclassError, *LIBRARY_ERRORS)
# Eager attention exports to the simplest graph; INT8 ran a fifth faster on it than on that of SDPA.
LOADING: Final[Mapping[str, Any]] = {
    "use_safetensors": True,
    "trust_remote_code": False,
    "local_files_only": True,
    "attn_implementation": "eager",
    "dtype": torch.float32,
    "output_loading_info": True,
}
"""Arguments of `from_pretrained` for every model folder: no code of the folder runs, and nothing is downloaded."""
AS_STORED: Final = {name: value for name, value in LOADING.items() if name != "attn_implementation"} | {"dtype": "auto"}
"""The same with the defaults of transformers for attention and type."""
UNKNOWN_LENGTH: Final = 512
"""Maximum length of example texts for a model without a limit."""


def load_model(path: Path, task: Task) -> torch.nn.Module:
    """Load the model in float32, ready for inference.

    Raises InvalidInput for weights that are missing or have another shape, which transformers would replace by random
    numbers, and for weights with NaN or infinity; BadRecipe for an architecture unknown to transformers.
    """
    return _finite(_load_any(path, task, LOADING))


def load_as_stored(path: Path, task: Task) -> torch.nn.Module:
    """Load a Transformers model as its users do: in the type of its weights, with transformers' choice of attention.

    Raises what `load_model` raises.
    """
    return _finite(_load_any(path, task, AS_STORED))


def _finite(model: torch.nn.Module) -> torch.nn.Module:
    require_finite_module(model)
    return model


def _load_any(path: Path, task: Task, settings: Mapping[str, Any]) -> torch.nn.Module:
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if (path / surgery.SURGERY).is_file():
        return _load_changed(path, task)
    try:
        with garbage_collection.paused():  # transformers imports the model's modules only now
            model, loaded = _loaded(path, task, settings)
    except (OSError, RuntimeError) as error:
        problem = f"the weights do not fit the configuration: {cause(error)}"
        raise InvalidInput("InvalidModel", FIELD, path.name, problem, "save the model with save_pretrained") from error
    except LOADING_ERRORS as error:
        problem = f"transformers cannot load it: {cause(error)}"
        remedy = "export the model to ONNX yourself, and name that as the source"
        raise BadRecipe("UnsupportedModel", FIELD, path.name, problem, remedy) from error
    # Pooled embeddings do not use the pooler of an encoder, and sentence-transformers often do not save it.
    missing = [name for name in loaded["missing_keys"] if not (task == "text-embedding" and "pooler" in name)]
    if missing:
        problem = f"the checkpoint has no weights for {', '.join(sorted(missing)[:3])}, which would be random"
        raise InvalidInput(
            "TaskMismatch", "spec.model.task", task, problem, "name a checkpoint that was trained for it"
        )
    module: torch.nn.Module = model
    return _without_pooler(module, loaded["missing_keys"]).train(False)


def _without_pooler(model: torch.nn.Module, missing: Iterable[str]) -> torch.nn.Module:
    """Remove a pooler without weights from the model: random weights would be published."""
    if any(name.startswith("pooler.") for name in missing):
        model.pooler = None  # type: ignore[assignment]
    return model


def _loaded(path: Path, task: Task, settings: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the model and the loading information of transformers."""
    if float8_checkpoint.is_float8(path):
        model, missing = float8_checkpoint.load(path, lambda: _from_config(path, task))
        return model, {"missing_keys": missing}
    more = {"quantization_config": CompressedTensorsConfig(dequantize=True)} if _is_compressed(path) else {}
    with warnings.catch_warnings():
        if more:
            # transformers warns that the folder has a quantization configuration; only this field differs from it.
            warnings.simplefilter("ignore", UserWarning)
        loaded: tuple[Any, dict[str, Any]] = _class_for(path, task).from_pretrained(path, **settings, **more)
    if more:
        input_rounding.round_inputs(loaded[0], path)
    return loaded


def _is_compressed(path: Path) -> bool:
    """Return whether the weights are quantized in the format of llm-compressor; they are dequantized on loading."""
    settings = json.loads((path / "config.json").read_text()).get("quantization_config") or {}
    return bool(settings.get("quant_method") == "compressed-tensors")


def _class_for(path: Path, task: Task) -> Any:
    """Return the class in transformers for a task; speech recognition has two, and some embeddings use an encoder."""
    config = json.loads((path / "config.json").read_text())
    architectures = config.get("architectures") or [""]
    if task == "automatic-speech-recognition" and str(architectures[0]).endswith("ForCTC"):
        return AutoModelForCTC
    if task == "text-embedding" and config.get("model_type") in ENCODERS:
        return AutoModelForTextEncoding
    return CLASSES[task]


def _load_changed(path: Path, task: Task) -> torch.nn.Module:
    """Load a model of the torch format: the model of config.json with the changes of surgery.json and its tensors."""
    model = _from_config(path, task)
    tensors = load_file(path / WEIGHTS)
    surgery.apply(model, surgery.read(path), {name: tensor.shape for name, tensor in tensors.items()})
    incompatible = model.load_state_dict(tensors, strict=False)
    tied = set(getattr(model, "all_tied_weights_keys", None) or ())
    _without_pooler(model, incompatible.missing_keys)
    missing = [name for name in incompatible.missing_keys if name not in tied and not name.startswith("pooler.")]
    if missing or incompatible.unexpected_keys:
        raise ValueError(f"{path / WEIGHTS} does not fit its surgery: {[*missing, *incompatible.unexpected_keys][:3]}")
    if tied:
        model.tie_weights()  # type: ignore[operator]
    return model.train(False)


def _from_config(path: Path, task: Task) -> torch.nn.Module:
    """Return the model of config.json with random weights."""
    config = transformers.AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    model: torch.nn.Module = _class_for(path, task).from_config(
        config, attn_implementation="eager", dtype=torch.float32
    )
    return model


def skeleton(path: Path, task: Task) -> torch.nn.Module:
    """Return the model of config.json without memory for its weights, for the names and shapes of its layers."""
    with torch.device("meta"):
        return _from_config(path, task)


def save_model(model: torch.nn.Module, changes: surgery.Surgery | None, into: Path) -> None:
    """Write weights and configuration: in the torch format with `changes` (even an empty Surgery), otherwise in the
    format of Transformers.
    """
    if changes is None:
        model.save_pretrained(into)  # type: ignore[operator]
        return
    model.config.save_pretrained(into)  # type: ignore[union-attr, operator]
    tied = set(getattr(model, "all_tied_weights_keys", None) or ())
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name not in tied}
    save_shard(tensors, into / WEIGHTS)
    surgery.write(changes, into)


def sequence_length_limit(model: torch.nn.Module) -> int:
    """Return the longest input in tokens; 512 if the configuration does not state it."""
    config: Any = model.config
    limit = position_limit(config.get_text_config().to_dict())
    return limit.tokens if limit else UNKNOWN_LENGTH
