"""Tiny real models and data for the runner's tests: random weights, made in moments, loaded by the real libraries."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizerFast,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ResNetForImageClassification,
    T5Config,
    T5ForConditionalGeneration,
    VideoMAEConfig,
    VideoMAEForVideoClassification,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

TEXT = """
a the cat dog sat ran on under mat tree red blue old new small large house river bird fish sang swam and but slowly
quickly while before after
"""
WORDS = tuple(TEXT.split())
# Bytes, and two pairs that hardly occur: a GGUF has to have merges.
_PAIRS = ("~~", "^^")
LLAMA_TOKENS = ("<end>", *sorted(pre_tokenizers.ByteLevel.alphabet()), *_PAIRS)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def bert(folder: Path, *, labels: int = 0, hidden: int = 32, dtype: torch.dtype = torch.float32) -> Path:
    """A BERT of two layers with its tokenizer; with `labels`, a classifier."""
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
    """A Llama of two layers whose tokens are bytes; its embedding is its head too where `tied`."""
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


def gguf(place: Path, folder: Path, quantized: Mapping[str, NDArray[np.uint8]] | None = None) -> Path:
    """A model of `llama` as llama.cpp keeps it, with the tokenizer in the header.

    Tensors are in float32, but for those in `quantized`, which are Q8_0 blocks by llama.cpp's names.
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


def _gguf_tensor(name: str, array: NDArray[np.float32], config: LlamaConfig) -> tuple[str, NDArray[np.float32]]:
    """A tensor by llama.cpp's name; queries and keys have the halves of each head interleaved there."""
    for ours, theirs in _GGUF_NAMES.items():
        name = name.replace(ours, theirs)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(name.split(".")[-2])
    if heads:
        array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
    return name, np.ascontiguousarray(array)


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


def resnet(folder: Path, *, labels: int = 3) -> Path:
    """A ResNet of two stages on one channel of 16 by 16 pixels."""
    torch.manual_seed(7)
    config = ResNetConfig(
        num_channels=1,
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        num_labels=labels,
        id2label={i: f"class-{i}" for i in range(labels)},
    )
    ResNetForImageClassification(config).eval().save_pretrained(folder)
    settings = {"image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": 16, "width": 16}}
    settings |= {"image_mean": [0.5], "image_std": [0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def perceptron(folder: Path, *, width: int = 64, external: bool = False) -> Path:
    """An ONNX graph of two layers, (batch, width) to (batch, 4), with its weights in the file or beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    first = random.normal(size=(width, width)).astype(np.float32)
    second = random.normal(size=(width, 4)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "first"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["active"]),
            helper.make_node("MatMul", ["active", "second"], ["y"]),
        ],
        "perceptron",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    if external:
        onnx.save_model(model, folder / "model.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    else:
        onnx.save(model, folder / "model.onnx")
    return folder


def sentences(count: int = 60) -> list[str]:
    """Distinct sentences of the tiny vocabulary, of 3 to 14 words."""
    random = np.random.default_rng(11)
    found: dict[str, None] = {}
    while len(found) < count:
        found[" ".join(random.choice(WORDS, size=int(random.integers(3, 15))))] = None
    return list(found)


def text_data(place: Path, labels: Sequence[int] = (), *, skip: int = 0) -> Path:
    """A parquet file with the columns text and, where there are any, label; `skip` sentences are left to another."""
    place.parent.mkdir(parents=True, exist_ok=True)
    columns: dict[str, object] = {"text": sentences(skip + (len(labels) or 60))[skip:]}
    if labels:
        columns["label"] = list(labels)
    pq.write_table(pa.table(columns), place)
    return place


def image_data(place: Path, *, seed: int = 0, count: int = 120, labels: int = 3) -> Path:
    """Images of `resnet` and their labels as an npz file."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, 16, 16, 1)).astype(np.uint8)
    np.savez(place, image=pixels, label=random.integers(0, labels, count))
    return place


def array_data(place: Path, *, width: int = 64, count: int = 40) -> Path:
    """Inputs of `perceptron` as an npz file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(13)
    np.savez(place, x=random.normal(size=(count, width)).astype(np.float32))
    return place


def spectrogram_classifier(folder: Path, *, labels: int = 3) -> Path:
    """An audio spectrogram transformer of one layer, for half a second at 8,000 samples a second."""
    torch.manual_seed(7)
    config = ASTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        patch_size=8,
        frequency_stride=8,
        time_stride=8,
        max_length=48,
        num_mel_bins=16,
        id2label={i: f"class-{i}" for i in range(labels)},
        label2id={f"class-{i}": i for i in range(labels)},
    )
    ASTForAudioClassification(config).eval().save_pretrained(folder)
    ASTFeatureExtractor(sampling_rate=8000, num_mel_bins=16, max_length=48).save_pretrained(folder)
    return folder


_WAVEFORMS = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8, 8),
    "conv_kernel": (10, 4),
    "conv_stride": (8, 4),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 8,
    "apply_spec_augment": False,
}


def waveform_classifier(folder: Path, *, labels: int = 3) -> Path:
    """A Wav2Vec2 of one layer, which takes samples of any length, 8,000 in a second."""
    torch.manual_seed(7)
    config = Wav2Vec2Config(**_WAVEFORMS, id2label={i: f"class-{i}" for i in range(labels)})
    Wav2Vec2ForSequenceClassification(config).eval().save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=8000, do_normalize=True).save_pretrained(folder)
    return folder


def video_classifier(folder: Path, *, labels: int = 3) -> Path:
    """A VideoMAE of one layer on 4 frames of 16 by 16 pixels."""
    torch.manual_seed(7)
    config = VideoMAEConfig(
        image_size=16,
        patch_size=8,
        num_frames=4,
        tubelet_size=2,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        id2label={i: f"class-{i}" for i in range(labels)},
    )
    VideoMAEForVideoClassification(config).eval().save_pretrained(folder)
    settings = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
    settings |= {"image_processor_type": "VideoMAEImageProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def convolutional(folder: Path, *, size: int = 12) -> Path:
    """An ONNX graph of two convolutions with BatchNorm and a residual, (batch, 1, size, size) to 3 logits."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    weights = {
        "first": random.normal(size=(8, 1, 3, 3)) * 0.5,
        "second": random.normal(size=(8, 8, 3, 3)) * 0.2,
        "head": random.normal(size=(8, 3)),
        "bias": random.normal(size=3),
    }
    for name in ("one", "two"):
        weights |= {f"{name}_scale": random.uniform(0.5, 2, 8), f"{name}_shift": random.normal(size=8)}
        weights |= {f"{name}_mean": random.normal(size=8) * 0.1, f"{name}_variance": random.uniform(0.5, 2, 8)}

    def normalised(name: str, before: str, after: str) -> onnx.NodeProto:
        parts = [f"{name}_{part}" for part in ("scale", "shift", "mean", "variance")]
        return helper.make_node("BatchNormalization", [before, *parts], [after], name=name)

    nodes = [
        helper.make_node("Conv", ["pixel_values", "first"], ["a"], name="conv_1", pads=[1, 1, 1, 1]),
        normalised("one", "a", "b"),
        helper.make_node("Relu", ["b"], ["c"], name="relu_1"),
        helper.make_node("Conv", ["c", "second"], ["d"], name="conv_2", pads=[1, 1, 1, 1]),
        normalised("two", "d", "e"),
        helper.make_node("Add", ["e", "c"], ["f"], name="residual"),
        helper.make_node("Relu", ["f"], ["g"], name="relu_2"),
        helper.make_node("GlobalAveragePool", ["g"], ["h"], name="pool"),
        helper.make_node("Flatten", ["h"], ["i"], name="flatten"),
        helper.make_node("Gemm", ["i", "head", "bias"], ["logits"], name="gemm"),
    ]
    graph = helper.make_graph(
        nodes,
        "convolutional",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 1, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    return folder


def summarizer(folder: Path, *, kind: str = "t5", layers: int = 1) -> Path:
    """A T5 with so many layers on each side, or a BART with one, whose tokens are the words of `WORDS`."""
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


LETTERS = ("<pad>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz")


def transcriber(folder: Path) -> Path:
    """A Wav2Vec2 of one layer that says a letter for each frame (CTC), for 8,000 samples a second."""
    torch.manual_seed(7)
    config = Wav2Vec2Config(**_WAVEFORMS, vocab_size=len(LETTERS), pad_token_id=0, initializer_range=1.0)
    Wav2Vec2ForCTC(config).eval().save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=8000, do_normalize=True).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(LETTERS)}))
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None).save_pretrained(folder)
    return folder


def whisper(folder: Path) -> Path:
    """A Whisper of one layer on each side for one second at 16,000 samples a second, whose tokens are words."""
    folder.mkdir(parents=True)
    special = ("<pad>", "<|endoftext|>", "<|startoftranscript|>", "<unk>")
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate((*special, *WORDS))}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<|endoftext|>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(7)
    config = WhisperConfig(
        vocab_size=len(special) + len(WORDS),
        num_mel_bins=16,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=50,
        max_target_positions=32,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=1,
        decoder_start_token_id=2,
        begin_suppress_tokens=None,
        init_std=1.0,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config.max_length = 8
    model.eval().save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=16, sampling_rate=16000, chunk_length=1).save_pretrained(folder)
    return folder
