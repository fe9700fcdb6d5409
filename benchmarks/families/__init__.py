"""Families of Transformers models with tiny random weights, each with every method: works, or is refused by `plan`."""
