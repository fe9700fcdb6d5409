"""The scheme of fingerprints."""

from compression_runner.pipeline import fingerprint

BEFORE = "cca158cd209d7aec3a3da9b5831fa273e1616d6a"
"""That of the source "sha256:0" when poolings were guessed, and images not turned upright."""


def test_exports_with_guessed_pooling_are_not_reused() -> None:
    assert fingerprint.of_source("sha256:0") != BEFORE
