"""The answers of a model to the evaluation data."""
