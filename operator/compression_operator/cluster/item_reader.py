"""Parse a list while it arrives: a whole list of 10,000 objects would need 100 MB of memory."""

import codecs
import json
from collections.abc import AsyncIterator
from typing import Any, Final

_ITEMS: Final = '"items":'
_DECODER: Final = json.JSONDecoder()


async def pages(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Yield the items that have arrived so far as small lists, each with the metadata of the whole list.

    The API server writes the metadata of a list before its items. Raises ValueError for anything else, and for a list
    that ends in the middle.
    """
    decode = codecs.getincrementaldecoder("utf-8")().decode
    text, metadata, ended = "", None, False
    async for chunk in chunks:
        text += decode(chunk)
        if metadata is None:
            head, separator, rest = text.partition(_ITEMS)
            if not separator or not rest.strip():
                continue
            metadata, text = _metadata(head), rest.lstrip()
            if text.startswith("n"):  # null: there are none
                text = "[]"
            text = text.removeprefix("[")
        items, text, ended = _items(text)
        yield {"metadata": metadata, "items": items}
    if not ended:
        raise ValueError("the list ends in the middle")


def _metadata(head: str) -> dict[str, Any]:
    metadata = json.loads(head.rstrip().rstrip(",") + "}").get("metadata")
    if not isinstance(metadata, dict):
        raise ValueError("the list has no metadata before its items")
    return metadata


def _items(text: str) -> tuple[list[dict[str, Any]], str, bool]:
    """Return the items that are complete, the text after them, and whether the list has ended."""
    items: list[dict[str, Any]] = []
    position = 0
    while True:
        while position < len(text) and text[position] in ", \n\r\t":
            position += 1
        if text.startswith("]", position):
            return items, text[position:], True
        try:
            item, position = _DECODER.raw_decode(text, position)
        except json.JSONDecodeError:
            return items, text[position:], False
        items.append(item)
