"""Retry downloads and uploads that broke off, and requests to the Hugging Face Hub.

botocore itself retries single requests to S3 (``CONFIG`` in ``storage/s3.py``).
"""

from collections.abc import Callable
from typing import Final, TypeVar, cast

from tenacity import Retrying, retry_if_result, stop_after_attempt, stop_after_delay, stop_never, wait_exponential

Result = TypeVar("Result")

ATTEMPTS: Final = 5
FIRST_PAUSE: Final = 0.5
"""Seconds before the second attempt; each further pause is twice as long."""
GIVE_UP_AFTER: Final = 30.0
"""Seconds after which a failed attempt is not retried."""


def with_retries(
    attempt: Callable[[], Result],
    may_pass: Callable[[BaseException], bool],
    give_up_after: float | None = GIVE_UP_AFTER,
) -> Result:
    """Retry an attempt with growing pauses while `may_pass` accepts its error, for at most `give_up_after` seconds.

    Raises the error of the last attempt. The error is kept here, not by tenacity: its state refers to itself, and a
    connection in the error's traceback would stay open until a garbage collection.
    """
    errors: list[Exception] = []

    def tried() -> Result | None:
        errors.clear()
        try:
            return attempt()
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)
            return None

    retrying = Retrying(
        retry=retry_if_result(lambda _: bool(errors) and may_pass(errors[0])),
        stop=stop_after_attempt(ATTEMPTS) | (stop_never if give_up_after is None else stop_after_delay(give_up_after)),
        wait=wait_exponential(FIRST_PAUSE),
        retry_error_callback=lambda _: None,
    )
    result = retrying(tried)
    if errors:
        raise errors.pop()
    return cast("Result", result)
