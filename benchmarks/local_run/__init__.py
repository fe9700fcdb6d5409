"""Compare a local run on MiniLM with Olive's dynamic INT8 of the same model, on the same machine."""
