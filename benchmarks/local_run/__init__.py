"""A whole local run on MiniLM beside Olive's dynamic INT8 of the same model, on the same machine in the same run."""
