"""CompressionStore: locations that the jobs of a namespace may read and write, with endpoints and credentials."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError, WithJsonSchema

from compressionjob.errors import InvalidSpec, problems_of
from compressionjob.field_types import ObjectName, Schema, TolerantSchema, cel
from compressionjob.group import API_VERSION, STORE_KIND
from compressionjob.locations import MAX_LOCATION, Endpoint, Hub, Location, Region, S3Endpoint, Storage
from compressionjob.spec import Metadata

Access = Literal["ReadOnly", "ReadWrite"]

MAX_PREFIXES: Final = 64
MAX_NAMED: Final = 5
"""Largest number of stores that one job can name: spec.storage, model, data, output and hub."""

_PREFIX_TEXT: Final = "write s3://BUCKET/PREFIX/ or pvc://CLAIM/PATH/, without '..', '//' or spaces in the path"
_PREFIX: Final = re.compile(
    r"(s3)://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9!_.*'()=+@,:-]+)*)/?"
    r"|(pvc)://([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)((?:/[A-Za-z0-9!_.*()=+@,:-]+)*)/?",
    re.ASCII,
)
_PREFIX_RULE: Final = (
    r"self.matches('^(s3://[a-z0-9][a-z0-9.-]+|pvc://[a-z0-9][a-z0-9.-]*)(/[^\\s]*)?$') && "
    "!self.matches('(^|/)[.][.]?(/|$)') && !self.substring(6).contains('//')"
)


def parse_prefix(text: str) -> Location:
    """Parse the prefix of a store. Raises ValueError with the remedy."""
    match = _PREFIX.fullmatch(text)
    if match is None:
        raise ValueError(_PREFIX_TEXT)
    scheme, container, path = match.groups()[:3] if match[1] else match.groups()[3:]
    parts = str(path).strip("/").split("/")
    if "." in parts or ".." in parts:
        raise ValueError(_PREFIX_TEXT)
    return Location("s3" if scheme == "s3" else "pvc", str(container), str(path).strip("/"))


def _check_prefix(text: str) -> str:
    parse_prefix(text)
    return text


Prefix = Annotated[
    str,
    Field(min_length=1, max_length=MAX_LOCATION),
    AfterValidator(_check_prefix),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 6,
            "maxLength": MAX_LOCATION,
            "x-kubernetes-validations": [cel(_PREFIX_RULE, _PREFIX_TEXT)],
        }
    ),
]
"""A folder of a bucket or a claim, with everything below it."""


class AllowedLocation(Schema):
    """A folder that jobs may use."""

    prefix: Prefix = Field(
        description="Folder that jobs may use, with everything below it: s3://BUCKET/PREFIX/ or pvc://CLAIM/PATH/. "
        "Names are compared whole: s3://models/team-a/ does not allow s3://models/team-ab."
    )
    access: Access = Field(
        default="ReadOnly",
        description="ReadOnly: jobs may read models and data. ReadWrite: jobs may also write models, reports and "
        "checkpoints below it. If several prefixes contain a location, the longest decides.",
    )

    @property
    def location(self) -> Location:
        """The prefix, parsed."""
        return parse_prefix(self.prefix)


class StoreHub(Schema):
    """The Hugging Face Hub, or a server with its API."""

    endpoint: Endpoint | None = Field(
        default=None, description="URL of the server. The token is sent to no other; huggingface.co by default."
    )
    secret_name: ObjectName | None = Field(default=None, description="Secret in this namespace with the key HF_TOKEN.")


class CompressionStoreSpec(Schema):
    """Access to models and data: endpoints, Secrets, and the folders that jobs may read and write."""

    endpoint: S3Endpoint | None = Field(default=None, description="URL of an S3-compatible server; AWS by default.")
    region: Region | None = Field(
        default=None, description="Region for which requests are signed; us-east-1 by default."
    )
    secret_name: ObjectName | None = Field(
        default=None,
        description="Secret in this namespace with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and "
        "AWS_SESSION_TOKEN where needed). Without it the pod uses the ambient identity of its runtime.",
    )
    locations: Annotated[list[AllowedLocation], Field(max_length=MAX_PREFIXES)] = Field(
        default=[],
        description="Folders that jobs may use. Other folders are not allowed.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["prefix"]},
    )
    hub: StoreHub | None = Field(
        default=None, description="Hub for the hf:// sources of jobs whose spec.hub names this store."
    )


class CompressionStore(TolerantSchema):
    """A CompressionStore manifest."""

    api_version: Literal["compression-operator.io/v1alpha1"] = API_VERSION
    kind: Literal["CompressionStore"] = STORE_KIND
    metadata: Metadata
    spec: CompressionStoreSpec


def parse_store(manifest: dict[str, Any]) -> CompressionStore:
    """Read a CompressionStore.

    Raises InvalidSpec, which names every field that is wrong, its value and the remedy.
    """
    try:
        return CompressionStore.model_validate(manifest)
    except ValidationError as error:
        raise InvalidSpec(problems_of(error, model=CompressionStore)) from error


class StoreConnection(TolerantSchema):
    """Addresses and Secrets of a store when a job began. Later pods of the job use the same."""

    name: Annotated[str, Field(max_length=253)] = Field(description="Name of the CompressionStore.")
    endpoint: Annotated[str, Field(max_length=512)] | None = Field(
        default=None, description="URL of its object store; AWS by default."
    )
    region: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Region for which requests are signed."
    )
    secret_name: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Secret with keys for the object store."
    )
    hub_endpoint: Annotated[str, Field(max_length=512)] | None = Field(
        default=None, description="URL of its Hub; huggingface.co by default."
    )
    hub_secret_name: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Secret with a token of the Hub."
    )

    @classmethod
    def of(cls, name: str, spec: CompressionStoreSpec) -> "StoreConnection":
        """Return the current addresses and Secrets of a store."""
        hub = spec.hub or StoreHub()
        return cls(
            name=name,
            endpoint=spec.endpoint,
            region=spec.region,
            secret_name=spec.secret_name,
            hub_endpoint=hub.endpoint,
            hub_secret_name=hub.secret_name,
        )

    @property
    def storage(self) -> Storage:
        """The same settings as in spec.storage of a job without a store.

        They were valid when the job began: a rule that came later does not stop it.
        """
        return Storage.model_construct(secret_name=self.secret_name, endpoint=self.endpoint, region=self.region)

    @property
    def hub(self) -> Hub:
        """The same settings as in spec.hub of a job without a store, valid when the job began."""
        return Hub.model_construct(secret_name=self.hub_secret_name, endpoint=self.hub_endpoint)


@dataclass(frozen=True)
class ResolvedStore:
    """A store that a job uses: its connection from the start of the job, and its current locations."""

    connection: StoreConnection
    locations: tuple[AllowedLocation, ...]
