"""Every compression method on real models: the examples run in full, and the table of their results."""
