"""Recovery: the score of a compressed language model on tasks, as a share of the baseline's."""
