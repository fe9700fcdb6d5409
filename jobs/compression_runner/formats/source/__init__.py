"""Inspect the model at its source by its headers."""
