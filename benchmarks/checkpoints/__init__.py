"""Compare 4-bit checkpoints of SmolLM2 that this project, llm-compressor and AutoRound make, in vLLM."""
