"""Tokenizers of tiny models: whole words as tokens, with the special tokens of the family."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_TEXT: Final = """
a the cat dog sat ran on under mat tree red blue old new small large house river bird fish sang swam and but slowly
quickly while before after
"""
WORDS: Final = tuple(_TEXT.split())
LETTERS: Final = ("<pad>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True)
class Kind:
    """Special tokens in the order of their ids, their roles, and the template around a text."""

    specials: tuple[str, ...]
    roles: dict[str, str]
    template: str = "$A"
    inputs: tuple[str, ...] = ("input_ids", "attention_mask")
    side: str = "right"


KINDS: Final = {
    "bert": Kind(
        ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"},
        "[CLS] $A [SEP]",
        ("input_ids", "token_type_ids", "attention_mask"),
    ),
    "roberta": Kind(
        ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
        {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"},
        "<s> $A </s>",
    ),
    "t5": Kind(("<pad>", "</s>", "<unk>"), {"pad": "<pad>", "eos": "</s>", "unk": "<unk>"}, "$A </s>"),
    "causal": Kind(("<pad>", "<s>", "</s>", "<unk>"), {"pad": "<pad>", "bos": "<s>", "eos": "</s>", "unk": "<unk>"}),
    "xlnet": Kind(
        ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>"),
        {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "cls": "<cls>", "sep": "<sep>", "pad": "<pad>"},
        "$A <sep> <cls>",
        ("input_ids", "token_type_ids", "attention_mask"),
        "left",
    ),
    "whisper": Kind(
        ("<pad>", "<|endoftext|>", "<|startoftranscript|>", "<unk>"),
        {"pad": "<pad>", "eos": "<|endoftext|>", "bos": "<|startoftranscript|>", "unk": "<unk>"},
    ),
}


def save_tokenizer(kind: str, folder: Path) -> dict[str, Any]:
    """Write the tokenizer's files, and return the configuration's vocab_size and *_token_id."""
    if kind == "letters":
        return _save_letters(folder)
    if kind == "bytes":
        return _save_bytes(folder)
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    chosen = KINDS[kind]
    numbers = {token: number for number, token in enumerate((*chosen.specials, *WORDS))}
    tokenizer: Any = Tokenizer(models.WordLevel(numbers, unk_token=chosen.roles["unk"]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    around = [(token, numbers[token]) for token in chosen.specials if token in chosen.template.split()]
    tokenizer.post_processor = processors.TemplateProcessing(single=chosen.template, special_tokens=around)
    roles = {f"{role}_token": token for role, token in chosen.roles.items()}
    fast: Any = transformers.PreTrainedTokenizerFast
    fast(
        tokenizer_object=tokenizer, padding_side=chosen.side, model_input_names=list(chosen.inputs), **roles
    ).save_pretrained(folder)
    ids = {f"{role}_token_id": numbers[token] for role, token in chosen.roles.items() if role in ("pad", "bos", "eos")}
    return {"vocab_size": len(numbers), **ids}


def _save_bytes(folder: Path) -> dict[str, Any]:
    """Write a byte-level tokenizer with two merges, which some classes need."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    end, pairs = "<|endoftext|>", (("~", "~"), ("^", "^"))
    tokens = (end, *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in pairs))
    numbers = {token: number for number, token in enumerate(tokens)}
    tokenizer: Any = Tokenizer(models.BPE(numbers, list(pairs)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast: Any = transformers.PreTrainedTokenizerFast
    fast(tokenizer_object=tokenizer, eos_token=end, pad_token=end).save_pretrained(folder)
    return {"vocab_size": len(tokens), "pad_token_id": 0, "eos_token_id": 0}


def _save_letters(folder: Path) -> dict[str, Any]:
    """Write the tokenizer of a CTC model, with letters as tokens."""
    import transformers

    place = folder / "vocab.json"
    place.write_text(json.dumps({letter: number for number, letter in enumerate(LETTERS)}))
    letters: Any = transformers.Wav2Vec2CTCTokenizer
    letters(str(place), bos_token=None, eos_token=None).save_pretrained(folder)
    return {"vocab_size": len(LETTERS), "pad_token_id": 0}
