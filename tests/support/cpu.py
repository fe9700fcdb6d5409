"""The accuracy to expect of 8-bit graphs on this machine's CPU."""

from compression_runner.inference.integer_products import saturates


def least_cosine(exact: float) -> float:
    """Return the least cosine to expect of 8-bit graphs: `exact`, or less where products saturate."""
    return min(exact, 0.93) if saturates() else exact
