"""Training within a stage: batches in a fixed order, losses, and a loop that goes on where it was cut off."""
