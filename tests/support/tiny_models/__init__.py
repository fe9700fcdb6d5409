"""Tiny real models with random weights, and data. The real libraries load them."""

from tests.support.tiny_models.audio import spectrogram_classifier, transcriber, waveform_classifier, whisper
from tests.support.tiny_models.data import array_data, image_data, sentences, text_data
from tests.support.tiny_models.images import convolutional, perceptron, resnet, swin, video_classifier
from tests.support.tiny_models.text import LLAMA_TOKENS, SPECIAL, WORDS, bert, gguf, gpt2, llama, summarizer

__all__ = [
    "LLAMA_TOKENS",
    "SPECIAL",
    "WORDS",
    "array_data",
    "bert",
    "convolutional",
    "gguf",
    "gpt2",
    "image_data",
    "llama",
    "perceptron",
    "resnet",
    "sentences",
    "spectrogram_classifier",
    "summarizer",
    "swin",
    "text_data",
    "transcriber",
    "video_classifier",
    "waveform_classifier",
    "whisper",
]
