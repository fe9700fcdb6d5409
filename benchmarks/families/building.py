"""A tiny model of a family as a Transformers folder: random weights, tokenizer, processor."""

import json
import warnings
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.families.catalog import Family
from benchmarks.families.rows import LABELS
from benchmarks.families.tokens import save_tokenizer
from compressionjob.tasks import TASKS

SEED: Final = 7
WRITTEN: Final = 9
"""Most tokens of an answer."""


def build(family: Family, folder: Path) -> Path:
    """Write the model's folder, as save_pretrained and sentence-transformers do."""
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    sizes: dict[str, Any] = dict(family.sizes)
    if family.tokenizer and (TASKS[family.task].content == "text" or TASKS[family.task].writes):
        sizes |= save_tokenizer(family.tokenizer, folder)
    if family.processor:
        chosen = dict(family.processor)
        getattr(transformers, _without_torchvision(chosen.pop("class")))(**chosen).save_pretrained(folder)
        # Published models have the name of the general processor.
        _rename(folder / "preprocessor_config.json", family.processor["class"])
    if TASKS[family.task].classifies:
        names = {number: f"class-{number}" for number in range(LABELS)}
        labels = {name: number for number, name in names.items()}
        sizes |= {"num_labels": LABELS, "id2label": names, "label2id": labels}
    if TASKS[family.task].predicts_number:
        sizes |= {"num_labels": 1, "problem_type": "regression"}
    config = getattr(transformers, family.config)(**sizes)
    if getattr(config, "is_encoder_decoder", False) and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = config.pad_token_id
    torch.manual_seed(SEED)
    model = _class_of(family)(config)
    _spread(model)
    if TASKS[family.task].writes and model.can_generate():
        model.generation_config.max_length = WRITTEN
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.eval().save_pretrained(folder)
    if family.task == "text-embedding":
        _save_modules(folder, family.pooling, int(config.hidden_size))
    return folder


def _class_of(family: Family) -> Any:
    import transformers

    from compression_runner.formats.transformers_model import CLASSES

    if family.model:
        return getattr(transformers, family.model)
    if family.task == "automatic-speech-recognition" and family.tokenizer == "letters":
        return transformers.AutoModelForCTC.from_config
    return CLASSES[family.task].from_config


def _without_torchvision(name: str) -> str:
    """Return the class of an image processor that needs no torchvision."""
    import transformers

    return f"{name}Pil" if hasattr(transformers, f"{name}Pil") else name


def _rename(place: Path, name: str) -> None:
    settings = json.loads(place.read_text())
    for key in ("image_processor_type", "feature_extractor_type"):
        if key in settings:
            settings[key] = name
    place.write_text(json.dumps(settings, indent=2) + "\n")


def _spread(model: torch.nn.Module) -> None:
    """Draw larger random matrices, so that answers differ between rows: initial weights of 0.02 hide errors."""
    generator = torch.Generator().manual_seed(SEED)
    for module in model.modules():
        table = isinstance(module, torch.nn.Embedding)
        for parameter in module.parameters(recurse=False):
            if parameter.dim() > 1:
                inputs = 1 if table else parameter[0].numel()
                gain = 2 if parameter.dim() > 2 else 1  # activations follow convolutions, and take half of what varies
                drawn = torch.randn(parameter.shape, generator=generator) * (gain / max(1, inputs)) ** 0.5
                parameter.data.copy_(drawn)


def _save_modules(folder: Path, pooling: str, width: int) -> None:
    """Write the files that sentence-transformers adds to a folder."""
    kinds = (("Transformer", ""), ("Pooling", "1_Pooling"))
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (kind, path) in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    names = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "last": "lasttoken"}
    modes = {f"pooling_mode_{mode}": kind == pooling for kind, mode in names.items()}
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": width, **modes}))


__all__ = ["build"]
