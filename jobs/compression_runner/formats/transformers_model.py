"""Loads a Transformers directory: safetensors only, no code from the directory, no weight left to chance."""

import json
import warnings
from collections.abc import Iterable
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
from compression_runner.formats import float8_checkpoint, surgery
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
"""Types of models with a decoder that embeddings are made without, as sentence-transformers does."""
FIELD: Final = "spec.model.source"
WEIGHTS: Final = "model.safetensors"
LOADING_ERRORS: Final[tuple[type[Exception], ...]] = (StrictDataclassError, *LIBRARY_ERRORS)
UNKNOWN_LENGTH: Final = 512
"""The longest text that a model without a last position is tried with."""


def load_model(path: Path, task: Task) -> torch.nn.Module:
    """The model in float32, ready for inference.

    Raises InvalidInput where weights are missing or of another shape: transformers would fill them with random numbers;
    BadRecipe where transformers does not know the architecture.
    """
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if (path / surgery.SURGERY).is_file():
        return _load_changed(path, task)
    try:
        with garbage_collection.paused():  # transformers imports the model's modules only now
            model, loaded = _loaded(path, task)
    except (OSError, RuntimeError) as error:
        problem = f"the weights do not fit the configuration: {cause(error)}"
        raise InvalidInput("InvalidModel", FIELD, path.name, problem, "save the model with save_pretrained") from error
    except LOADING_ERRORS as error:
        problem = f"transformers cannot load it: {cause(error)}"
        remedy = "export the model to ONNX yourself, and name that as the source"
        raise BadRecipe("UnsupportedModel", FIELD, path.name, problem, remedy) from error
    # An encoder's pooler has no part in pooled embeddings, and sentence-transformers often do not save it.
    missing = [name for name in loaded["missing_keys"] if not (task == "text-embedding" and "pooler" in name)]
    if missing:
        problem = f"the checkpoint has no weights for {', '.join(sorted(missing)[:3])}, which would be random"
        raise InvalidInput(
            "TaskMismatch", "spec.model.task", task, problem, "name a checkpoint that was trained for it"
        )
    module: torch.nn.Module = model
    return _without_pooler(module, loaded["missing_keys"]).train(False)


def _without_pooler(model: torch.nn.Module, missing: Iterable[str]) -> torch.nn.Module:
    """The model without a pooler for which there are no weights: random ones would be published."""
    if any(name.startswith("pooler.") for name in missing):
        model.pooler = None  # type: ignore[assignment]
    return model


def _loaded(path: Path, task: Task) -> tuple[Any, dict[str, Any]]:
    """The model and what transformers tells of its loading."""
    if float8_checkpoint.is_float8(path):
        model, missing = float8_checkpoint.load(path, lambda: _described(path, task))
        return model, {"missing_keys": missing}
    more = {"quantization_config": CompressedTensorsConfig(dequantize=True)} if _is_compressed(path) else {}
    with warnings.catch_warnings():
        if more:
            # It is told that the folder has a configuration of its own, of which only this one field is another.
            warnings.simplefilter("ignore", UserWarning)
        # Eager attention exports to the plainest graph, on which INT8 was measured a fifth faster than on SDPA's.
        found: tuple[Any, dict[str, Any]] = _class_for(path, task).from_pretrained(
            path,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            attn_implementation="eager",
            dtype=torch.float32,
            output_loading_info=True,
            **more,
        )
    return found


def _is_compressed(path: Path) -> bool:
    """Whether the weights have few bits, as llm-compressor stores them: they are loaded as what these stand for."""
    told = json.loads((path / "config.json").read_text()).get("quantization_config") or {}
    return bool(told.get("quant_method") == "compressed-tensors")


def _class_for(path: Path, task: Task) -> Any:
    """Transformers' class for a task; speech is recognised by models of two kinds, and encoders embed alone."""
    config = json.loads((path / "config.json").read_text())
    architectures = config.get("architectures") or [""]
    if task == "automatic-speech-recognition" and str(architectures[0]).endswith("ForCTC"):
        return AutoModelForCTC
    if task == "text-embedding" and config.get("model_type") in ENCODERS:
        return AutoModelForTextEncoding
    return CLASSES[task]


def _load_changed(path: Path, task: Task) -> torch.nn.Module:
    """A model of the torch format: what config.json describes, changed as surgery.json says, with its own tensors."""
    model = _described(path, task)
    tensors = load_file(path / WEIGHTS)
    surgery.operate(model, surgery.read(path), {name: tensor.shape for name, tensor in tensors.items()})
    told = model.load_state_dict(tensors, strict=False)
    tied = set(getattr(model, "all_tied_weights_keys", None) or ())
    _without_pooler(model, told.missing_keys)
    lost = [name for name in told.missing_keys if name not in tied and not name.startswith("pooler.")]
    if lost or told.unexpected_keys:
        raise ValueError(f"{path / WEIGHTS} does not fit its surgery: {[*lost, *told.unexpected_keys][:3]}")
    if tied:
        model.tie_weights()  # type: ignore[operator]
    return model.train(False)


def _described(path: Path, task: Task) -> torch.nn.Module:
    """A model as config.json describes it, with random weights."""
    config = transformers.AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    model: torch.nn.Module = _class_for(path, task).from_config(
        config, attn_implementation="eager", dtype=torch.float32
    )
    return model


def save_model(model: torch.nn.Module, changes: surgery.Surgery | None, into: Path) -> None:
    """Writes weights and configuration: in the torch format with `changes` (none yet is a Surgery without entries),
    and without as Transformers writes them.
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
    """The longest input in tokens; 512 where the configuration does not tell."""
    config: Any = model.config
    limit = position_limit(config.get_text_config().to_dict())
    return limit.tokens if limit else UNKNOWN_LENGTH
