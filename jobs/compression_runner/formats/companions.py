"""Files that accompany the weights of a model from one format to the next: configuration and tokenizer."""

import json
import shutil
from pathlib import Path
from typing import Final

from compression_runner.artifact import Artifact

MODULES: Final = "modules.json"
PROMPTS: Final = "config_sentence_transformers.json"
# The exported graph includes the pooling and the modules behind it; with their files they would apply twice.
BAKED_IN: Final = (MODULES, "1_Pooling/", "2_Normalize/", "2_Dense/", "surgery.json")


def copy_companions(artifact: Artifact, into: Path, *, exported: bool = False, modules: bool = False) -> None:
    """Copy every file except weights; with `exported`, also except files of modules that the graph includes.

    With `modules`, copy the weights of the sentence-transformers modules behind the model, in folders of their own.
    """
    baked = _baked_in(artifact.path) if exported else ()
    for file in artifact.files:
        weights = file.weights and not (modules and "/" in file.path)
        if weights or file.path.endswith(".safetensors.index.json") or file.path.startswith(baked):
            continue
        target = into / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact.path / file.path, target)


def _baked_in(folder: Path) -> tuple[str, ...]:
    """Return the path prefixes of files that a graph replaces; a graph does not include the prompt of texts."""
    listed = json.loads((folder / MODULES).read_text()) if (folder / MODULES).is_file() else []
    folders = (f"{module['path']}/" for module in listed if module["path"])
    prompted = (folder / PROMPTS).is_file() and json.loads((folder / PROMPTS).read_text()).get("default_prompt_name")
    return (*BAKED_IN, *folders, *(() if prompted else (PROMPTS,)))
