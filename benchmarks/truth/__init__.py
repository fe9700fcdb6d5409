"""Whether verdicts are right as often as they say: predictors whose latency and quality are known, beside a limit."""
