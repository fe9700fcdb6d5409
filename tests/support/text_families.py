"""Tiny text models of many families, with random weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTextEncoding,
    PreTrainedTokenizerFast,
)

from compressionjob.tasks import Task
from tests.support.tiny_models import WORDS

HIDDEN: Final = 16
LABELS: Final = 3
POSITIONS: Final = 66
SPECIAL: Final = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
SIZES: Final[Mapping[str, object]] = {
    "vocab_size": len(SPECIAL) + len(WORDS),
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "sep_token_id": 2,
    "cls_token_id": 0,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.3,
}
ENCODER: Final[Mapping[str, object]] = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 2 * HIDDEN,
}
DECODER: Final[Mapping[str, object]] = {**ENCODER, "num_key_value_heads": 2, "head_dim": HIDDEN // 2}
BOTH: Final[Mapping[str, object]] = {
    "d_model": HIDDEN,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 2 * HIDDEN,
    "decoder_ffn_dim": 2 * HIDDEN,
    "decoder_start_token_id": 2,
    "init_std": 0.3,
}
T5: Final[Mapping[str, object]] = {
    "d_model": HIDDEN,
    "d_kv": HIDDEN // 2,
    "d_ff": 2 * HIDDEN,
    "num_layers": 1,
    "num_decoder_layers": 1,
    "num_heads": 2,
    "decoder_start_token_id": 1,
    "initializer_factor": 2.0,
}
GPT2: Final[Mapping[str, object]] = {"n_embd": HIDDEN, "n_layer": 2, "n_head": 2, "n_positions": POSITIONS}
FAMILIES: Final[Mapping[str, Mapping[str, object]]] = {
    "albert": {**ENCODER, "embedding_size": 8},
    "bart": BOTH,
    "bert": ENCODER,
    "big_bird": {**ENCODER, "attention_type": "original_full"},
    "biogpt": ENCODER,
    "bloom": {"hidden_size": HIDDEN, "n_layer": 2, "n_head": 2},
    "camembert": ENCODER,
    "convbert": {**ENCODER, "embedding_size": HIDDEN, "head_ratio": 1, "conv_kernel_size": 3},
    "data2vec-text": ENCODER,
    "deberta": {**ENCODER, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {**ENCODER, "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8},
    "distilbert": {"dim": HIDDEN, "n_layers": 2, "n_heads": 2, "hidden_dim": 2 * HIDDEN},
    "electra": {**ENCODER, "embedding_size": HIDDEN},
    "ernie": ENCODER,
    "falcon": {"hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2},
    "flaubert": {"emb_dim": HIDDEN, "n_layers": 2, "n_heads": 2},
    "fnet": ENCODER,
    "funnel": {"block_sizes": [1, 1], "d_model": HIDDEN, "n_head": 2, "d_head": 8, "d_inner": 2 * HIDDEN},
    "gemma": DECODER,
    "gemma2": DECODER,
    "gpt2": GPT2,
    "gpt_bigcode": GPT2,
    "gpt_neo": {
        "hidden_size": HIDDEN,
        "num_layers": 2,
        "num_heads": 2,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 8,
    },
    "gpt_neox": ENCODER,
    "gptj": {**GPT2, "rotary_dim": 4},
    "ibert": ENCODER,
    "llama": DECODER,
    "longformer": {**ENCODER, "attention_window": 8},
    "mbart": BOTH,
    "mistral": DECODER,
    "mobilebert": {**ENCODER, "embedding_size": HIDDEN, "intra_bottleneck_size": HIDDEN, "num_feedforward_networks": 1},
    "modernbert": {**ENCODER, "global_attn_every_n_layers": 2, "local_attention": 8},
    "mpnet": ENCODER,
    "mpt": {"d_model": HIDDEN, "n_heads": 2, "n_layers": 2, "max_seq_len": POSITIONS},
    "nystromformer": {**ENCODER, "num_landmarks": 64, "segment_means_seq_len": 64},
    "openai-gpt": GPT2,
    "opt": {**ENCODER, "ffn_dim": 2 * HIDDEN, "word_embed_proj_dim": HIDDEN},
    "phi": ENCODER,
    "qwen2": DECODER,
    "qwen3": DECODER,
    "rembert": {**ENCODER, "input_embedding_size": 8, "output_embedding_size": 8},
    "roberta": ENCODER,
    "roberta-prelayernorm": ENCODER,
    "roformer": {**ENCODER, "embedding_size": HIDDEN},
    "squeezebert": {**ENCODER, "embedding_size": HIDDEN, "q_groups": 1, "k_groups": 1, "v_groups": 1},
    "stablelm": DECODER,
    "t5": T5,
    "umt5": T5,
    "xlm": {"emb_dim": HIDDEN, "n_layers": 2, "n_heads": 2},
    "xlm-roberta": ENCODER,
    "xlnet": {
        "max_position_embeddings": None,
        "use_mems_eval": False,
        "d_model": HIDDEN,
        "n_layer": 2,
        "n_head": 2,
        "d_inner": 2 * HIDDEN,
    },
}
CLASSES: Final[Mapping[Task, Any]] = {
    "text-classification": AutoModelForSequenceClassification,
    "summarization": AutoModelForSeq2SeqLM,
    "text-embedding": AutoModel,
}


def text_model(folder: Path, family: str, task: Task, **more: object) -> Path:
    """Write a model of a family, with a word tokenizer that adds <s> and </s> to each text; return its folder."""
    word_tokenizer(folder, padding_side="left" if family == "xlnet" else "right")
    torch.manual_seed(7)
    labels = {"id2label": {i: f"class-{i}" for i in range(LABELS)}} if task == "text-classification" else {}
    settings = SIZES | FAMILIES[family] | labels | more
    config = AutoConfig.for_model(family, **{name: value for name, value in settings.items() if value is not None})
    kind = AutoModelForTextEncoding if task == "text-embedding" and "num_decoder_layers" in config else CLASSES[task]
    kind.from_config(config).eval().save_pretrained(folder)
    return folder


def word_tokenizer(folder: Path, **more: str | None) -> Path:
    """Write a word tokenizer for the tiny vocabulary; return its folder."""
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "unk_token": "<unk>"}
    names |= {"pad_token": "<pad>", "mask_token": "<mask>"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_input_names=["input_ids", "attention_mask"], **(names | more)
    ).save_pretrained(folder)
    return folder
