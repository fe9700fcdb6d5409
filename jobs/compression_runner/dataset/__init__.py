"""Evaluation data: read files of text, images or arrays up to a limit, and convert them to inputs of a model."""

from compression_runner.dataset.loading import load_samples
from compression_runner.dataset.sample_set import SampleSet

__all__ = ["SampleSet", "load_samples"]
