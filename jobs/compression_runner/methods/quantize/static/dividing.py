"""What of the calibration data ranges are found on, and what the loss is measured on."""

from typing import Final

from compression_runner.calibration.feeding import Feed

FEWEST: Final = 16
"""With fewer batches, what is checked on is observed too."""


def divide(feeds: list[Feed], *, apart: bool) -> tuple[list[Feed], list[Feed]]:
    """The batches to observe, and every third one to check on.

    `apart` keeps these out of what is observed, where there are enough: for a loss that decides what is given back.
    """
    if not apart or len(feeds) < FEWEST:
        return feeds, feeds[::3]
    return [feed for index, feed in enumerate(feeds) if index % 3], feeds[::3]
