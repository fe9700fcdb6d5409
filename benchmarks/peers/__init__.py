"""Other tools on the models of the examples, measured beside this project's results in one run."""
