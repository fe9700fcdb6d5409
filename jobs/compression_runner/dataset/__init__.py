"""Evaluation data: files of text, images or arrays, read up to a limit and made into inputs of a model."""

from compression_runner.dataset.loading import load_samples
from compression_runner.dataset.sample_set import SampleSet

__all__ = ["SampleSet", "load_samples"]
