"""Locations of models, data and results: ``s3://BUCKET/KEY``, ``pvc://CLAIM/PATH``, ``file:///PATH``.

Sources may also be on the Hugging Face Hub: ``hf://ORG/NAME[@REVISION][/PATH]`` or ``hf://datasets/...``, as
huggingface_hub writes them.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from compressionjob.exclusion import exclusive
from compressionjob.field_types import ObjectName, Schema, cel, with_rules

Scheme = Literal["s3", "pvc", "file", "hf"]

MAX_LOCATION: Final = 1024
PVC_MOUNT_ROOT: Final = "/mnt/pvc"
HUB_DATASETS: Final = "datasets/"
"""Prefix of the name of a dataset repository on the Hub."""

_EXAMPLES: Final = (
    "write exactly one of s3://BUCKET/KEY, pvc://CLAIM/PATH or file:///PATH, without '..', '//' or spaces in the path"
)
_SOURCE_EXAMPLES: Final = _EXAMPLES.replace(
    "s3://BUCKET/KEY, pvc://CLAIM/PATH or file:///PATH",
    "s3://BUCKET/KEY, pvc://CLAIM/PATH, file:///PATH or hf://ORG/NAME[@REVISION][/PATH]",
)
_S3: Final = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9!_.*'()=+@,:/-]*[A-Za-z0-9!_.*'()=+@,:-]/?"
_PVC: Final = r"pvc://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(/[A-Za-z0-9!_.*()=+@,:-]+)*/?"
_FILE: Final = r"file://(/[^/\s]+|\.{1,2}/[^/\s]+|[^/\s.][^/\s]*)(/[^/\s]+)*/?"
_NAME: Final = r"[A-Za-z0-9](?:(?!--|\.\.)[\w.-]){0,95}"
_HF: Final = (
    rf"hf://(datasets/)?(?!datasets/|spaces/){_NAME}/{_NAME}(?<!\.git)(?<![.-])"
    r"(@(refs/(pr|convert)/)?(?!\.{1,2}(?:/|$))[\w.-]{1,128})?(/[\w!.*()=+@,:-]+)*/?"
)
_PATTERN: Final = re.compile(f"^({_S3}|{_PVC}|{_FILE}|{_HF})$", re.ASCII)
# The API server's RE2 gets a simpler pattern. A location that only Python refuses ends in the Accepted condition.
_CEL_PATTERNS: Final = "s3://[a-z0-9][a-z0-9.-]+/[^\\\\s]+|pvc://[a-z0-9][a-z0-9.-]*(/[^\\\\s]*)?|file:///[^\\\\s]+"
_CEL_HF: Final = "|hf://(datasets/)?[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][^\\\\s]*"
_CEL_INSIDE: Final = " && !self.matches('(^|/)[.][.](/|$)') && !self.substring(7).contains('//')"
_CEL_RULE: Final = f"self.matches('^({_CEL_PATTERNS})$')" + _CEL_INSIDE
_CEL_SOURCE_RULE: Final = f"self.matches('^({_CEL_PATTERNS}{_CEL_HF})$')" + _CEL_INSIDE


@dataclass(frozen=True)
class Location:
    """A parsed location.

    ``container`` is the bucket, the claim or the repository with its revision, "" for files. ``path`` starts with "/"
    only for files.
    """

    scheme: Scheme
    container: str
    path: str

    def __str__(self) -> str:
        if self.scheme == "file":
            return f"file://{self.path}"
        return f"{self.scheme}://{self.container}/{self.path}".rstrip("/")

    def child(self, *names: str) -> "Location":
        """Return the location of a path below this one."""
        return Location(
            self.scheme, self.container, "/".join([part for part in (self.path.rstrip("/"), *names) if part])
        )

    def sibling(self, suffix: str) -> "Location":
        """Return the location whose last name has ``suffix`` appended."""
        return Location(self.scheme, self.container, self.path.rstrip("/") + suffix)


def parse_location(text: str) -> Location:
    """Parse a location.

    Raises ValueError, with the remedy, for another scheme, a path with ``..``, or an empty path.
    """
    if not _PATTERN.fullmatch(text):
        raise ValueError(_EXAMPLES)
    scheme, rest = text.split("://", 1)
    parts = rest.rstrip("/").split("/")
    # Only file:// may start with ./ or ../: relative to the manifest of a local run. A cluster refuses it.
    inner = parts if scheme != "file" else parts[1:]
    if "//" in rest or any(part in (".", "..") for part in inner):
        raise ValueError(_EXAMPLES)
    if scheme == "file":
        return Location("file", "", rest.rstrip("/"))
    if scheme == "s3":
        return Location("s3", parts[0], "/".join(parts[1:]))
    if scheme == "hf":
        count = 3 if rest.startswith(HUB_DATASETS) else 2
        if parts[count - 1].endswith("@refs"):
            count += 2  # a revision such as refs/pr/1 or refs/convert/parquet
        return Location("hf", "/".join(parts[:count]), "/".join(parts[count:]))
    return Location("pvc", parts[0], "/".join(parts[1:]))


def _check_source(text: str) -> str:
    try:
        parse_location(text)
    except ValueError as error:
        raise ValueError(_suggestion(text) + _SOURCE_EXAMPLES) from error
    return text


def _check(text: str) -> str:
    try:
        scheme = parse_location(text).scheme
    except ValueError as error:
        raise ValueError(_suggestion(text) + _EXAMPLES) from error
    if scheme == "hf":
        raise ValueError(f"jobs do not write to the Hub; {_EXAMPLES}")
    return text


def _suggestion(text: str) -> str:
    """Return a suggestion for a location in an unknown form, "" where there is none."""
    if re.match(r"s3://(BUCKET|YOUR|<)", text):
        return "put the name of your bucket there; "
    if re.match(r"https?://huggingface\.co/", text):
        name = re.match(r"https?://huggingface\.co/((?:datasets/)?[^/]+/[^/]+)", text)
        return f"write hf://{name[1]}; " if name else ""
    if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", text):
        return f"for a model on the Hugging Face Hub write hf://{text}; "
    return f"write file://{text}; " if text.startswith("/") else ""


def _json_schema(rule: str, examples: str) -> WithJsonSchema:
    """Return the schema with which the API server checks a location."""
    rules = [cel(rule, examples)]
    return WithJsonSchema(
        {"type": "string", "minLength": 8, "maxLength": MAX_LOCATION, "x-kubernetes-validations": rules}
    )


_LENGTH: Final = Field(min_length=1, max_length=MAX_LOCATION)
LocationText = Annotated[str, _LENGTH, AfterValidator(_check), _json_schema(_CEL_RULE, _EXAMPLES)]
"""A location that the job writes, as text for ``parse_location``."""

SourceText = Annotated[str, _LENGTH, AfterValidator(_check_source), _json_schema(_CEL_SOURCE_RULE, _SOURCE_EXAMPLES)]
"""A location that the job reads, as text. It may be on the Hugging Face Hub."""

_ENDPOINT_PATTERN: Final = r"^https?://[A-Za-z0-9.\[\]:-]{1,253}(/[A-Za-z0-9._~/-]{0,200})?$"

_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]*)?", re.ASCII)
"""Host and port. urlsplit ignores what is between an IPv6 address and its port."""


def _check_endpoint(text: str) -> str:
    """Refuse a URL that does not parse, such as half of an IPv6 address, text behind one, or port 99999."""
    try:
        parts = urlsplit(text)
        whole = _SERVER.fullmatch(parts.netloc) is not None and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise ValueError("write the URL of a server, such as https://s3.example.com:9000")
    return text


Endpoint = Annotated[str, Field(max_length=512, pattern=_ENDPOINT_PATTERN), AfterValidator(_check_endpoint)]
"""The URL of a server."""

_NO_PATH: Final = "an object store has no path: end its endpoint after host and port, and write buckets and folders as s3://BUCKET/KEY"


def _check_object_store(text: str) -> str:
    if urlsplit(text).path.strip("/"):
        raise ValueError(_NO_PATH)
    return text


S3Endpoint = Annotated[
    Endpoint,
    AfterValidator(_check_object_store),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 512,
            "pattern": _ENDPOINT_PATTERN,
            "x-kubernetes-validations": [cel("!self.matches('^https?://[^/]*/+[^/]')", _NO_PATH)],
        }
    ),
]
"""The URL of an object store. Below a path s3://a/b would name the bucket of that path, whatever rules say about a."""
Region = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$")]
"""Region for which requests to an object store are signed."""

_STORE_ALONE: Final = "the store has these settings: remove {}, or remove store"
_STORAGE_RULE, _check_storage = exclusive("store", ("secretName", "endpoint", "region"), _STORE_ALONE)
_HUB_RULE, _check_hub = exclusive("store", ("secretName", "endpoint"), _STORE_ALONE)


class Storage(Schema):
    """Access to an object store or a claim. Credentials stay in a Secret that only the pod reads."""

    model_config = with_rules(_STORAGE_RULE)

    secret_name: ObjectName | None = Field(
        default=None,
        description="Secret in the job's namespace with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
        "(and AWS_SESSION_TOKEN where needed). If it has the key AWS_ENDPOINT_URL, its keys are sent to no other "
        "endpoint. Without a Secret the pod uses its ambient identity.",
    )
    endpoint: S3Endpoint | None = Field(default=None, description="URL of an S3-compatible server; AWS by default.")
    region: Region | None = Field(
        default=None, description="Region for which requests are signed; us-east-1 by default."
    )
    store: ObjectName | None = Field(
        default=None,
        description="CompressionStore in the job's namespace, instead of secretName, endpoint and region.",
    )

    @model_validator(mode="after")
    def _alone(self) -> "Storage":
        _check_storage(self)
        return self


class Hub(Schema):
    """Access to the Hugging Face Hub, for all hf:// sources of a job."""

    model_config = with_rules(_HUB_RULE)

    secret_name: ObjectName | None = Field(
        default=None,
        description="Secret in the job's namespace with the key HF_TOKEN. If it has the key HF_ENDPOINT, the token is "
        "sent to no other address; huggingface.co without it. Without a Secret only public repositories can be read.",
    )
    endpoint: Endpoint | None = Field(
        default=None, description="URL of a server with the Hub's API; huggingface.co by default."
    )
    store: ObjectName | None = Field(
        default=None,
        description="CompressionStore in the job's namespace whose hub is used, instead of secretName and endpoint.",
    )

    @model_validator(mode="after")
    def _alone(self) -> "Hub":
        _check_hub(self)
        return self
