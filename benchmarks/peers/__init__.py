"""Compare other tools with this project on the models of the examples, in one run."""
