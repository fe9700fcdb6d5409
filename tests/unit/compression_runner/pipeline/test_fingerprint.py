"""What fingerprints of steps stand for."""

from compression_runner.pipeline import fingerprint

BEFORE = "cca158cd209d7aec3a3da9b5831fa273e1616d6a"
"""That of the source "sha256:0" when poolings were guessed, and images not turned upright."""


def test_exports_of_poolings_that_were_guessed_are_not_taken_up() -> None:
    assert fingerprint.of_source("sha256:0") != BEFORE
