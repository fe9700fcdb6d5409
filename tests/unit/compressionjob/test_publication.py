"""Decisions to publish, hold or refuse a model."""

import pytest

from compressionjob.publication import publication_of
from compressionjob.review import ReviewPolicy
from compressionjob.verdict import Verdict


@pytest.mark.parametrize(
    ("verdict", "on_violation", "review", "expected"),
    [
        ("Pass", "Fail", "Never", "Publish"),
        ("Pass", "Fail", "OnInconclusive", "Publish"),
        ("Pass", "Fail", "Always", "Hold"),
        ("NoLimits", "Fail", "Never", "Publish"),
        ("NoLimits", "Fallback", "OnInconclusive", "Publish"),
        ("NoLimits", "Alert", "Always", "Hold"),
        ("Inconclusive", "Fail", "Never", "Refuse"),
        ("Inconclusive", "Fail", "OnInconclusive", "Hold"),
        ("Inconclusive", "Fail", "Always", "Hold"),
        ("Inconclusive", "Alert", "Never", "Publish"),
        ("Inconclusive", "Alert", "OnInconclusive", "Hold"),
        ("Fail", "Fail", "Never", "Refuse"),
        ("Fail", "Fail", "Always", "Refuse"),
        ("Fail", "Fallback", "Always", "Refuse"),
        ("Fail", "Alert", "Never", "Publish"),
        ("Fail", "Alert", "OnInconclusive", "Publish"),
        ("Fail", "Alert", "Always", "Hold"),
    ],
)
def test_every_case(verdict: Verdict, on_violation: str, review: ReviewPolicy, expected: str) -> None:
    assert publication_of(verdict, on_violation, review) == expected
