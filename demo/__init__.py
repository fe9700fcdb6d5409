"""`make demo`: from an empty machine to two verdicts."""
