"""Tiny audio models."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    PreTrainedTokenizerFast,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from tests.support.tiny_models.text import WORDS

LETTERS = ("<pad>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz")
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


def spectrogram_classifier(folder: Path, *, labels: int = 3) -> Path:
    """Write an audio spectrogram transformer of one layer, for half a second at 8,000 samples per second."""
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


def waveform_classifier(folder: Path, *, labels: int = 3) -> Path:
    """Write a Wav2Vec2 classifier of one layer, for samples of any length at 8,000 samples per second."""
    torch.manual_seed(7)
    config = Wav2Vec2Config(**_WAVEFORMS, id2label={i: f"class-{i}" for i in range(labels)})
    Wav2Vec2ForSequenceClassification(config).eval().save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=8000, do_normalize=True).save_pretrained(folder)
    return folder


def transcriber(folder: Path) -> Path:
    """Write a Wav2Vec2 of one layer that predicts a letter for each frame (CTC), for 8,000 samples per second."""
    torch.manual_seed(7)
    config = Wav2Vec2Config(**_WAVEFORMS, vocab_size=len(LETTERS), pad_token_id=0, initializer_range=1.0)
    Wav2Vec2ForCTC(config).eval().save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=8000, do_normalize=True).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(LETTERS)}))
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None).save_pretrained(folder)
    return folder


def whisper(folder: Path) -> Path:
    """Write a Whisper of one layer on each side, for one second at 16,000 samples per second. Its tokens are words."""
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
