"""The model at its source, described by its headers."""
