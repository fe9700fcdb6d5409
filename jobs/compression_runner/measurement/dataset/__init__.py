"""Evaluation data: files of text, images or arrays, read up to a limit and made into inputs of a model."""

from compression_runner.measurement.dataset.evaluation_set import EvaluationSet
from compression_runner.measurement.dataset.loading import load_evaluation

__all__ = ["EvaluationSet", "load_evaluation"]
