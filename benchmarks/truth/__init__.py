"""Check the confidence of verdicts with predictors of known latency and quality, near a limit."""
