"""When Python looks for reference cycles: not while torch is imported, or a model is traced or measured.

Imports and tracing make about a million objects that stay, and every full collection looks at all of them: a quarter of
the CPU time of importing torch and Transformers. In a measurement a collection would count as the model's time.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Collect no cycles meanwhile; those that were left are collected later, as usual."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def importing() -> Iterator[None]:
    """Collect no cycles meanwhile, and leave what exists afterwards out of every later collection.

    For import statements alone: a model in a cycle would never be freed.
    """
    with paused():
        yield
    gc.freeze()
