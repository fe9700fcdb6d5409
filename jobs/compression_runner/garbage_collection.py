"""Pause Python's garbage collection while torch is imported, or a model is traced or measured.

Imports and tracing create about a million permanent objects, and every full collection scans all of them: a quarter of
the CPU time of importing torch and Transformers. In a measurement, a collection would count as the model's time.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Pause garbage collection; later collections free the cycles as usual."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def importing() -> Iterator[None]:
    """Pause garbage collection, and exclude all objects that exist afterwards from later collections.

    Only for import statements: a model in a cycle would never be freed.
    """
    with paused():
        yield
    gc.freeze()
