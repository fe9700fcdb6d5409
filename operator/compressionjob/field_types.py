"""The pydantic base class of the resources, and scalar types as Kubernetes writes them.

Scalars have their own JSON schema with CEL rules, so that the API server refuses the same values as pydantic, with the
same messages.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from compressionjob.hints import duration_hint, quantity_hint

DURATION_PATTERN: Final = r"^([0-9]{1,9}(\.[0-9]{1,9})?(us|ms|s|m|h)){1,5}$"
QUANTITY_PATTERN: Final = r"^[0-9]{1,18}(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
DECIMAL_PATTERN: Final = r"^[0-9]{1,12}(\.[0-9]{1,9})?$"
DNS_LABEL_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DNS_SUBDOMAIN_PATTERN: Final = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"

_DURATION_UNITS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_QUANTITY_UNITS: Final = {
    "": Decimal(1), "m": Decimal("0.001"),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30),
    "Ti": Decimal(2**40), "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip


class Schema(BaseModel):
    """A part of a resource: camelCase in manifests, snake_case in Python; unknown fields are refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)
    removed: ClassVar[Mapping[str, str]] = {}
    """Fields of earlier versions, by their name in a manifest -> the remedy."""

    def to_json(self) -> dict[str, Any]:
        """Return the object as in a manifest: aliases, JSON types, no empty optional fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class TolerantSchema(Schema):
    """A part that another version of this project may have written: unknown fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


def cel(rule: str, message: str, **more: str) -> dict[str, JsonValue]:
    """Return one entry of ``x-kubernetes-validations``."""
    return {"rule": rule, "message": message, **more}


def with_rules(*rules: JsonValue) -> ConfigDict:
    """Return the configuration of a Schema with CEL rules on its object."""
    listed: list[JsonValue] = list(rules)
    return ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        json_schema_extra={"x-kubernetes-validations": listed},
    )


def without_default(schema: dict[str, Any]) -> None:
    """Remove a default, so that the API server does not write it into stored objects: older versions refuse new fields.

    It is for ``json_schema_extra`` of a field that was added after the first release.
    """
    schema.pop("default", None)


def _decimal_text(value: float) -> str:
    return format(Decimal(repr(value)).normalize(), "f")


_DECIMAL_TEXT: Final = 'must be a decimal number in quotes, such as "0.5"'


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(_DECIMAL_TEXT)
    try:
        text = value if isinstance(value, str) else _decimal_text(float(value))
    except OverflowError as error:  # an integer that no float has
        raise ValueError(_DECIMAL_TEXT) from error
    if re.fullmatch(DECIMAL_PATTERN, text):
        return float(Decimal(text))
    share = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%", text)
    if share is not None:
        raise ValueError(f'{_DECIMAL_TEXT}: write {text} as "{_decimal_text(float(share[1]) / 100)}"')
    raise ValueError(_DECIMAL_TEXT)


def _between(low: float, high: float, text: str, *, low_open: bool, high_open: bool) -> AfterValidator:
    def check(value: float) -> float:
        too_low = value <= low if low_open else value < low
        too_high = value >= high if high_open else value > high
        if too_low or too_high:
            raise ValueError(text)
        return value

    return AfterValidator(check)


_MATCHES_DECIMAL: Final = f"string(self).matches('{DECIMAL_PATTERN}')".replace("\\", "\\\\")
_SERIALIZED: Final = PlainSerializer(_decimal_text, return_type=str, when_used="json")
_MAX_DECIMAL: Final = 24


def _decimal(bounds: str, message: str) -> WithJsonSchema:
    """Return the schema of a decimal number: a string, or a whole number without quotes.

    A structural schema has no type for "a string or any number", so the API server refuses 0.5 without quotes.
    """
    return WithJsonSchema(
        {
            "maxLength": _MAX_DECIMAL,
            "x-kubernetes-int-or-string": True,
            "x-kubernetes-validations": [cel(f"{_MATCHES_DECIMAL} && {bounds}", message)],
        }
    )


_FRACTION_TEXT: Final = 'must be a decimal number above 0 and below 1, in quotes, such as "0.5"'
Fraction = Annotated[
    float,
    BeforeValidator(_number),
    _between(0, 1, _FRACTION_TEXT, low_open=True, high_open=True),
    _SERIALIZED,
    _decimal("double(self) > 0.0 && double(self) < 1.0", _FRACTION_TEXT),
]
"""A part of a whole, above 0 and below 1 (sparsity, confidence)."""

_DROP_TEXT: Final = 'must be a decimal number from 0 to 1, in quotes, such as "0.01"'
Drop = Annotated[
    float,
    BeforeValidator(_number),
    _between(0, 1, _DROP_TEXT, low_open=False, high_open=False),
    _SERIALIZED,
    _decimal("double(self) >= 0.0 && double(self) <= 1.0", _DROP_TEXT),
]
"""A difference between two scores in [0, 1]."""

_POSITIVE_TEXT: Final = 'must be a decimal number above 0, in quotes, such as "1.5"'
Positive = Annotated[
    float,
    BeforeValidator(_number),
    _between(0, float("inf"), _POSITIVE_TEXT, low_open=True, high_open=True),
    _SERIALIZED,
    _decimal("double(self) > 0.0", _POSITIVE_TEXT),
]
"""A number above 0 (speed-up, rate, ratio)."""

_NOT_NEGATIVE_TEXT: Final = 'must be a decimal number of 0 or more, in quotes, such as "0.5"'
NotNegative = Annotated[
    float,
    BeforeValidator(_number),
    _between(0, float("inf"), _NOT_NEGATIVE_TEXT, low_open=False, high_open=True),
    _SERIALIZED,
    _decimal("double(self) >= 0.0", _NOT_NEGATIVE_TEXT),
]
"""A number of 0 or more (weight of a loss, weight decay)."""


_DURATION_TEXT: Final = 'must be a duration above 0 such as "20ms", "90s" or "1h30m"'


def parse_duration(text: str) -> float:
    """Return the seconds of a duration as Kubernetes (Go) writes it: ``20ms``, ``1h30m``.

    Raises ValueError for another text, and for zero.
    """
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(_DURATION_TEXT + duration_hint(text))
    seconds = sum(float(n) * _DURATION_UNITS[unit] for n, _, unit in re.findall(r"(\d+(\.\d+)?)(us|ms|s|m|h)", text))
    if seconds <= 0:
        raise ValueError(_DURATION_TEXT)
    return seconds


def format_duration(seconds: float) -> str:
    """Format a duration with three significant digits: ``7.31ms``, ``1.5s``, ``2h3m``."""
    if seconds * 1e6 < 999.5:  # from here on three digits round to 1ms
        return f"{seconds * 1e6:.3g}us"
    if seconds * 1e3 < 999.5:
        return f"{seconds * 1e3:.3g}ms"
    if seconds < 59.95:
        return f"{seconds:.3g}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m" if hours else f"{minutes}m{rest}s"


def _duration(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(_DURATION_TEXT)
    parse_duration(str(value))
    return str(value)


Duration = Annotated[
    str,
    BeforeValidator(_duration),
    WithJsonSchema(
        {
            # A whole number is never a duration, but so the API server refuses it with the message of the rule.
            "maxLength": 64,
            "x-kubernetes-int-or-string": True,
            "x-kubernetes-validations": [
                cel(
                    f"string(self).matches('{DURATION_PATTERN}') && duration(string(self)) > duration('0s')".replace(
                        "\\", "\\\\"
                    ),
                    _DURATION_TEXT,
                )
            ],
        }
    ),
]
"""A duration in Go's format; ``parse_duration`` returns seconds."""


_QUANTITY_TEXT: Final = 'must be a quantity such as "512Mi", "2" or "500m"'


def parse_quantity(text: str | int) -> float:
    """Return the number of a Kubernetes quantity: ``512Mi`` is 536870912.0, ``500m`` is 0.5."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]{0,2})", str(text))
    if not match or match[2] not in _QUANTITY_UNITS:
        raise ValueError(_QUANTITY_TEXT + quantity_hint(str(text)))
    return float(Decimal(match[1]) * _QUANTITY_UNITS[match[2]])


def format_bytes(count: float, *, like: float | None = None) -> str:
    """Format bytes in powers of ten: ``23.0 MB``.

    If the user wrote the amount ``like`` in powers of two (400Mi), the result is in powers of two: ``1.6Gi``.
    """
    if like is not None and like % 2**20 == 0 and like % 10**6 != 0:
        return _in_powers_of_two(count)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < (999.5 if unit == "B" else 999.95):  # from here on it would be rounded to 1000
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _in_powers_of_two(count: float) -> str:
    for unit in ("Ki", "Mi", "Gi"):
        count /= 1024
        if abs(count) < 1023.95:
            return f"{count:.1f}".removesuffix(".0") + unit
    return f"{count / 1024:.1f}".removesuffix(".0") + "Ti"


def _quantity(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(_QUANTITY_TEXT)
    parse_quantity(value)
    return str(value)


def _positive_quantity(value: str) -> str:
    if parse_quantity(value) <= 0:
        raise ValueError('must be a quantity above 0 such as "512Mi"')
    return value


_QUANTITY_SCHEMA: Final = WithJsonSchema(
    {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "maxLength": 32,
        "pattern": QUANTITY_PATTERN,
        "x-kubernetes-int-or-string": True,
    }
)
Quantity = Annotated[str, BeforeValidator(_quantity), _QUANTITY_SCHEMA]
"""An amount of a resource in Kubernetes' format; ``parse_quantity`` returns the number."""
PositiveQuantity = Annotated[str, BeforeValidator(_quantity), AfterValidator(_positive_quantity), _QUANTITY_SCHEMA]
"""A quantity above 0."""

Label = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL_PATTERN)]
"""A DNS label: the name of a volume or a stage."""
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN_PATTERN)]
"""A DNS subdomain: the name of a Secret, claim or runtime."""
ColumnName = Annotated[str, Field(min_length=1, max_length=128)]
"""The name of a column or an array in a data file."""
