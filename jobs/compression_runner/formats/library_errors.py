"""What transformers and torch raise of a model that they cannot run or trace: nearly every type there is."""

from typing import Final

MODEL_ERRORS: Final[tuple[type[Exception], ...]] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Raised by a call of a model; errors of this package and of the operating system are none of them."""


def cause_of(error: BaseException) -> str:
    """Return in one line what began a chain of errors: what wraps it says which step it was, and not why."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    name = type(error).__name__
    if not lines:
        return name
    return f"{name} {lines[0]}" if isinstance(error, LookupError | AttributeError) else lines[0]
