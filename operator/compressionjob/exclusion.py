"""Fields that exclude each other: one definition for the API server's rule and for the check in Python."""

from collections.abc import Callable

from pydantic import JsonValue

from compressionjob.field_types import Schema, cel


def exclusive(alone: str, others: tuple[str, ...], text: str) -> tuple[dict[str, JsonValue], Callable[[Schema], None]]:
    """Return a rule that ``alone`` excludes ``others``, in CEL and as a check in Python.

    Names are those in a manifest. ``text`` is the remedy, with {} for the others.
    """
    message = text.format(f"{', '.join(others[:-1])} and {others[-1]}")
    rule = f"!has(self.{alone}) || !({' || '.join(f'has(self.{name})' for name in others)})"

    def check(part: Schema) -> None:
        given = part.to_json()
        if alone in given and not given.keys().isdisjoint(others):
            raise ValueError(message)

    return cel(rule, message), check
