"""The pod's input as one text: the job, and in a pod that publishes the review and the judged result.

The text is an annotation of the pod, and the container reads it as a file of a downwardAPI volume. An environment
variable cannot hold it: Linux limits one to 128 KiB, and the kubelet expands ``$(NAME)`` and ``$$`` in it.
"""

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from compressionjob.errors import FieldProblem
from compressionjob.field_types import format_bytes

MAX_INPUT_BYTES: Final = 200 * 1024
"""Largest size of the text. Kubernetes allows 256 KiB for all annotations of an object together."""
MAX_PLAIN_BYTES: Final = 64 * 1024
"""Largest size of an uncompressed text."""

_COMPRESSED: Final = "zlib+base64:"
_POWER_OF_TWO: Final = 2.0**20


def encode(documents: Mapping[str, Any]) -> str:
    """Return the input's text for documents by name."""
    text = json.dumps(documents, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    data = text.encode()
    if len(data) <= MAX_PLAIN_BYTES:
        return text
    return _COMPRESSED + base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def decode(text: str) -> dict[str, Any]:
    """Return the documents of an input by name.

    Raises ValueError for a text that ``encode`` did not write.
    """
    if text.startswith(_COMPRESSED):
        try:
            text = zlib.decompress(base64.b64decode(text[len(_COMPRESSED) :], validate=True)).decode()
        except (binascii.Error, zlib.error) as error:
            raise ValueError("the input is damaged") from error
    documents = json.loads(text)
    if not isinstance(documents, dict):
        raise ValueError("the input is not a mapping")
    return documents


def digest_of(text: str) -> str:
    """Return the digest of an input's text, such as ``sha256:1f2e...``."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def size_problems(manifest: Mapping[str, Any]) -> list[FieldProblem]:
    """Return the field to shorten in a manifest that is too large for its pod; an empty list where it fits."""
    size = len(encode({"job": manifest}).encode())
    if size <= MAX_INPUT_BYTES:
        return []
    sizes = [format_bytes(count, like=_POWER_OF_TWO) for count in (size, MAX_INPUT_BYTES)]
    remedy = "the job has {}, even compressed, and at most {} are allowed; shorten this field, which is its largest"
    return [FieldProblem(_largest_field("spec", manifest.get("spec")), "", remedy.format(*sizes))]


def _largest_field(path: str, value: Any) -> str:
    """Return the path of the field below ``path`` that takes the most bytes."""
    fields = dict(_fields(path, value))
    if not fields:
        return path
    largest = max(fields, key=lambda name: len(json.dumps(fields[name], ensure_ascii=False)))
    return _largest_field(largest, fields[largest])


def _fields(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"{path}.{name}", item) for name, item in value.items())
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(value))
