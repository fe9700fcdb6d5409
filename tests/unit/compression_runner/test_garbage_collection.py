"""Pauses of the garbage collection, and the objects that it scans."""

import gc
from collections.abc import Iterator

import pytest

from compression_runner import garbage_collection


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Collection as the other tests expect it."""
    yield
    gc.enable()
    gc.unfreeze()


def test_no_cycles_are_collected_while_it_is_paused() -> None:
    with garbage_collection.paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_resumes_after_an_error() -> None:
    with pytest.raises(ImportError, match="no such module"), garbage_collection.paused():
        raise ImportError("no such module")
    assert gc.isenabled()


def test_a_pause_within_a_pause_does_not_end_it() -> None:
    with garbage_collection.paused():
        with garbage_collection.paused():
            pass
        assert not gc.isenabled()


def test_objects_of_an_import_are_not_collected() -> None:
    made: list[object] = []
    with garbage_collection.importing():
        made.append({"module": made})
        assert not gc.isenabled()
    assert gc.isenabled()
    assert all(kept is not made for kept in gc.get_objects())
