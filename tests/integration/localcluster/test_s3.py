"""The S3 server."""

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from localcluster import s3
from localcluster.s3 import ObjectStore

_MULTIPART_MINIMUM = 5 << 20


def client(store: ObjectStore, secret: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        region_name=store.region,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2),
    )


def test_objects_are_files_and_survive_a_crash_of_the_server() -> None:
    with s3.start() as store:
        good = client(store, store.secret_key)
        good.create_bucket(Bucket="bucket")
        good.put_object(Bucket="bucket", Key="folder/name", Body=b"content")
        assert (store.folder / "bucket" / "folder" / "name").read_bytes() == b"content"
        store.kill()
        with pytest.raises(EndpointConnectionError):
            good.list_buckets()
        store.restart()
        part = good.get_object(Bucket="bucket", Key="folder/name", Range="bytes=3-5")
        assert part["Body"].read() == b"ten"
    assert not store.folder.exists()


def test_a_multipart_upload_is_one_object_once_it_is_complete() -> None:
    with s3.start() as store:
        good = client(store, store.secret_key)
        good.create_bucket(Bucket="bucket")
        upload = {"Bucket": "bucket", "Key": "big"}
        upload["UploadId"] = good.create_multipart_upload(**upload)["UploadId"]
        parts = []
        for number, body in enumerate((b"a" * _MULTIPART_MINIMUM, b"b"), start=1):
            tag = good.upload_part(**upload, PartNumber=number, Body=body)["ETag"]
            parts.append({"PartNumber": number, "ETag": tag})
        assert "Contents" not in good.list_objects_v2(Bucket="bucket")
        good.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        assert good.head_object(Bucket="bucket", Key="big")["ContentLength"] == _MULTIPART_MINIMUM + 1


def test_a_wrong_key_is_refused() -> None:
    with s3.start() as store, pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client(store, "wrong").list_buckets()
