"""The record of a CompressionStore: the endpoints for its jobs."""

from typing import Any

import pytest

from compression_operator.records.store import StoreRecord
from tests.support.operator.raw import raw_store

S3 = [{"prefix": "s3://models/team-a/", "access": "ReadWrite"}]
CLAIM = [{"prefix": "pvc://models/", "access": "ReadWrite"}]
MINIO, MIRROR = "http://minio.stores.svc:9000", "http://hub.mirrors.svc"


@pytest.mark.parametrize(
    ("spec", "endpoints"),
    [
        ({"endpoint": MINIO, "locations": S3}, (MINIO,)),
        ({"endpoint": None, "locations": S3}, ("",)),  # AWS
        ({"endpoint": None, "locations": CLAIM}, ()),
        ({"endpoint": MINIO, "locations": S3, "hub": {"endpoint": MIRROR}}, (MINIO, MIRROR)),
        ({"endpoint": MINIO, "locations": S3, "hub": {}}, (MINIO, "")),  # huggingface.co
        ({"endpoint": "minio", "locations": S3}, ("",)),  # not valid
    ],
)
def test_endpoints(spec: dict[str, Any], endpoints: tuple[str, ...]) -> None:
    raw = raw_store()
    raw["spec"] = {key: value for key, value in {**raw["spec"], "hub": None, **spec}.items() if value is not None}
    assert StoreRecord.of(raw).endpoints == endpoints
