"""Split calibration batches into those for ranges and those for measuring the loss."""

from typing import Final

from compression_runner.calibration.feeding import Feed

MIN_BATCHES: Final = 16
"""With fewer batches, ranges use all batches, also those of the loss."""


def split_batches(feeds: list[Feed], *, disjoint: bool) -> tuple[list[Feed], list[Feed]]:
    """Return the batches for ranges, and every third batch for the loss.

    `disjoint` excludes the latter from the former if there are enough, for a loss that decides which parts to restore.
    """
    if not disjoint or len(feeds) < MIN_BATCHES:
        return feeds, feeds[::3]
    return [feed for index, feed in enumerate(feeds) if index % 3], feeds[::3]
