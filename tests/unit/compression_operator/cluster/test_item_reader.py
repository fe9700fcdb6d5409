"""A list is parsed while it arrives, in pieces of any size."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from compression_operator.cluster.item_reader import pages

ITEMS = [{"metadata": {"name": f"job-{n}", "labels": {"é": '"items":[{'}, "uid": str(n)}} for n in range(3)]


def listing(items: Any, **layout: Any) -> bytes:
    body = {"kind": "List", "metadata": {"resourceVersion": "12"}, "items": items}
    return json.dumps(body, ensure_ascii=False, **layout).encode()


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 50, 100_000])
@pytest.mark.parametrize("layout", [{"separators": (",", ":")}, {"indent": 2}])
@pytest.mark.parametrize("items", [ITEMS, [], None])
async def test_every_item_comes_once(size: int, layout: dict[str, Any], items: Any) -> None:
    read = [page async for page in pages(pieces(listing(items, **layout), size))]
    assert [item for page in read for item in page["items"]] == (items or [])
    assert {page["metadata"]["resourceVersion"] for page in read} == {"12"}


@pytest.mark.parametrize("size", [5, 100_000])
@pytest.mark.parametrize(
    "data", [listing(ITEMS)[:-20], b"", b"<html>busy</html>", b'{"items":[],"metadata":{}}', b'{"items":7}']
)
async def test_malformed_lists_are_refused(data: bytes, size: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which of them does not matter
        _ = [page async for page in pages(pieces(data, size))]
