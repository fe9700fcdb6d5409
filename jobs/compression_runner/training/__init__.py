"""Training within a stage: batches in a fixed order, losses, and a loop that resumes after an interruption."""
