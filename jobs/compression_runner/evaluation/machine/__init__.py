"""The machine that measures: memory, energy and noise."""
