"""The receivers of notifications: a file of the platform team, so that no user can make the operator call an address.

The chart writes it from ``notifications`` in its values.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import AfterValidator, Field, ValidationError
from yarl import URL

from compression_operator.notifications.signing import UnusableKey, read_keys
from compression_operator.records.delivery import Subscriptions
from compressionjob.errors import FieldProblem, InvalidSpec, problems_of
from compressionjob.field_types import Duration, Label, Schema, parse_duration
from compressionjob.notifications import NOTIFICATION_EVENTS, NotificationEvent

MAX_RECEIVERS: Final = 32
LONGEST_TIMEOUT: Final = "60s"

_URL_TEXT: Final = "must be http(s)://HOST[:PORT][/PATH][?QUERY], without user, password or fragment"


def _url(text: str) -> str:
    try:
        url = URL(text)
    except ValueError:
        raise ValueError(_URL_TEXT) from None  # yarl's own text quotes the URL
    if url.scheme not in ("http", "https") or not url.host or not url.port or "@" in url.raw_authority or url.fragment:
        raise ValueError(_URL_TEXT)
    if not text.isprintable() or " " in text:
        raise ValueError(_URL_TEXT)
    return text


def _timeout(text: str) -> str:
    if parse_duration(text) > parse_duration(LONGEST_TIMEOUT):
        raise ValueError(f"must be at most {LONGEST_TIMEOUT}")
    return text


class Receiver(Schema):
    """A receiver of notifications. ``key_file`` holds the keys that sign them; without one they are not signed."""

    url: Annotated[str, Field(max_length=2048), AfterValidator(_url)]
    events: Annotated[frozenset[NotificationEvent], Field(min_length=1)] = frozenset(NOTIFICATION_EVENTS)
    timeout: Annotated[Duration, AfterValidator(_timeout)] = "10s"
    key_file: Path | None = None


class Receivers(Schema):
    """All receivers by name. ``source`` is the URI of the cluster, the prefix of the CloudEvents attribute source."""

    source: Annotated[str, Field(max_length=512, pattern=r"^\S*$")] = ""
    receivers: Annotated[dict[Label, Receiver], Field(max_length=MAX_RECEIVERS)] = {}

    def unusable_keys(self) -> Iterator[str]:
        """Yield the problem of each key file that cannot be used now; files are read again at each use."""
        for receiver in self.receivers.values():
            if receiver.key_file is not None:
                try:
                    read_keys(receiver.key_file)
                except UnusableKey as error:
                    yield str(error)

    @property
    def subscriptions(self) -> Subscriptions:
        """The events that each receiver subscribes to."""
        return {name: receiver.events for name, receiver in self.receivers.items()}


def read_receivers(path: Path | None) -> Receivers:
    """Read the file of ``--notifications``; without a file there are no receivers.

    Raises InvalidSpec, which names each invalid field, its value and the remedy. It shows URLs only up to the host: the
    rest may be a secret.
    """
    if path is None:
        return Receivers()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, f"cannot be read ({_why(error)}); mount it, or leave --notifications out") from error
    except yaml.YAMLError as error:
        raise _unusable(path, f"is not YAML ({_where(error)}); correct it") from error
    try:
        return Receivers.model_validate({} if content is None else content)
    except ValidationError as error:
        raise InvalidSpec([_redacted(problem) for problem in problems_of(error, "notifications", Receivers)]) from None


def _unusable(path: Path, remedy: str) -> InvalidSpec:
    return InvalidSpec([FieldProblem("--notifications", str(path), remedy)])


def _why(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "not UTF-8"


def _where(error: yaml.YAMLError) -> str:
    # The error's own text quotes the file.
    mark = getattr(error, "problem_mark", None)
    return "no line is known" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"


def _redacted(problem: FieldProblem) -> FieldProblem:
    # Also if the field's name is misspelt, or if the value is the whole receiver.
    text = problem.value
    start = text.index("://") + len("://") if "://" in text else 0
    if not start and not problem.field.endswith(".url"):
        return problem
    host = "" if "@" in text[start:] else re.split(r"[/?#\s'\"]", text[start:], maxsplit=1)[0]
    shown = text[:start] + host
    return replace(problem, value=shown if shown == text else f"{shown}...")
