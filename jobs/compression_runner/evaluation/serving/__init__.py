"""A language model on a serving engine under load: time to first token, gaps between tokens, goodput."""
