"""What of the calibration data ranges are found on, and what the loss is measured on."""

from typing import Final

from compression_runner.calibration.feeding import Feed

FEWEST: Final = 16
"""With fewer batches, both are done on the same ones."""


def divide(feeds: list[Feed]) -> tuple[list[Feed], list[Feed]]:
    """The batches to observe, and every third one to check on where there are enough."""
    if len(feeds) < FEWEST:
        return feeds, feeds
    return [feed for index, feed in enumerate(feeds) if index % 3], feeds[::3]
