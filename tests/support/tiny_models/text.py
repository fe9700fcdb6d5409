"""Tiny text models: BERT, Llama (also as GGUF), GPT-2, T5 and BART."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizerFast,
    GPT2Config,
    GPT2ForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

TEXT = """
a the cat dog sat ran on under mat tree red blue old new small large house river bird fish sang swam and but slowly
quickly while before after
"""
WORDS = tuple(TEXT.split())
# Bytes, and two rare pairs, since a GGUF file must have merges.
_PAIRS = ("~~", "^^")
LLAMA_TOKENS = ("<end>", *sorted(pre_tokenizers.ByteLevel.alphabet()), *_PAIRS)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def bert(folder: Path, *, labels: int = 0, hidden: int = 32, dtype: torch.dtype = torch.float32) -> Path:
    """Write a BERT of two layers with its tokenizer; a classifier with `labels`."""
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join((*SPECIAL, *WORDS)) + "\n")
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    settings = {
        "vocab_size": len(SPECIAL) + len(WORDS),
        "hidden_size": hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 2 * hidden,
        "max_position_embeddings": 64,
    }
    torch.manual_seed(7)
    if labels:
        config = BertConfig(**settings, num_labels=labels, id2label={i: f"class-{i}" for i in range(labels)})
        model = BertForSequenceClassification(config)
    else:
        model = BertModel(BertConfig(**settings))
    model.to(dtype).save_pretrained(folder)
    return folder


def llama(folder: Path, *, tied: bool = True) -> Path:
    """Write a Llama of two layers whose tokens are bytes; the output layer is `tied` to the embedding."""
    folder.mkdir(parents=True)
    merges = [(token[0], token[1]) for token in _PAIRS]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(LLAMA_TOKENS)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment, no-untyped-call]
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>").save_pretrained(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(LLAMA_TOKENS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        initializer_range=0.2,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def gpt2(folder: Path, *, labels: int = 3) -> Path:
    """Write a GPT-2 classifier of two layers with the words of `WORDS` as tokens. Its linear layers are Conv1D."""
    folder.mkdir(parents=True)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(("<end>", *WORDS))}, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<end>", eos_token="<end>", unk_token="<end>"
    ).save_pretrained(folder)
    torch.manual_seed(7)
    config = GPT2Config(
        vocab_size=1 + len(WORDS),
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=64,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        initializer_range=0.3,
        id2label={i: f"class-{i}" for i in range(labels)},
    )
    GPT2ForSequenceClassification(config).save_pretrained(folder)
    return folder


def gguf(place: Path, folder: Path, quantized: Mapping[str, NDArray[np.uint8]] | None = None) -> Path:
    """Write a model of `llama` as a GGUF file, with the tokenizer in the header.

    Tensors are float32 except those in `quantized`, which are Q8_0 blocks by llama.cpp's names.
    """
    model = LlamaForCausalLM.from_pretrained(folder)
    config = model.config
    place.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(place, "llama")
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(LLAMA_TOKENS)
    writer.add_token_types([3, *([1] * (len(LLAMA_TOKENS) - 1))])
    writer.add_token_merges([" ".join(token) for token in _PAIRS])
    writer.add_eos_token_id(0)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        title, array = _gguf_tensor(name, tensor.numpy(), config)
        if title in (quantized or {}):
            writer.add_tensor(title, (quantized or {})[title], raw_dtype=GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(title, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return place


_GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers": "blk",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def _gguf_tensor(name: str, array: NDArray[np.float32], config: LlamaConfig) -> tuple[str, NDArray[np.float32]]:
    """Return a tensor with llama.cpp's name. GGUF interleaves the halves of each head of queries and keys."""
    for ours, theirs in _GGUF_NAMES.items():
        name = name.replace(ours, theirs)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(name.split(".")[-2])
    if heads:
        array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
    return name, np.ascontiguousarray(array)


def summarizer(folder: Path, *, kind: str = "t5", layers: int = 1) -> Path:
    """Write a T5 with `layers` on each side, or a BART with one, with the words of `WORDS` as tokens."""
    folder.mkdir(parents=True)
    special = ("<pad>", "</s>", "<unk>")
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate((*special, *WORDS))}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])  # type: ignore[assignment]
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(7)
    settings = {"vocab_size": len(special) + len(WORDS), "d_model": 16, "pad_token_id": 0, "eos_token_id": 1}
    if kind == "t5":
        config = T5Config(**settings, d_kv=8, d_ff=32, num_layers=layers, num_heads=2, decoder_start_token_id=0)
        config.initializer_factor = 5.0
        model: PreTrainedModel = T5ForConditionalGeneration(config)
    else:
        stacks = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
        heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 64}
        model = BartForConditionalGeneration(
            BartConfig(**settings, **stacks, **heads, decoder_start_token_id=1, forced_eos_token_id=None, init_std=1.0)
        )
    model.generation_config.max_length = 9
    model.eval().save_pretrained(folder)
    return folder
