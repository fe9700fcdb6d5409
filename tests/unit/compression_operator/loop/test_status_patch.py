"""A status patch has only the changes, and the version of the decision."""

from compression_operator.loop.status_patch import status_patch
from tests.support.operator.builders import job


def test_unchanged_status_gives_no_patch() -> None:
    assert status_patch(job(status={"phase": "Pending", "retries": 0}), {"retries": 0, "phase": "Pending"}) is None


def test_only_what_changed_is_written_with_the_version() -> None:
    record = job(status={"phase": "Pending", "stage": "prune", "retries": 0})
    assert status_patch(record, {"phase": "Running", "retries": 0}) == {
        "metadata": {"resourceVersion": "100"},
        "status": {"phase": "Running", "stage": None},
    }


def test_a_mapping_is_replaced_not_merged() -> None:
    record = job(status={"baseline": {"sizeBytes": 1, "quality": {"f1": 0.5, "recall": 1.0}}})
    patch = status_patch(record, {"baseline": {"sizeBytes": 2, "quality": {"f1": 0.5}}})
    assert patch is not None
    assert patch["status"] == {"baseline": {"sizeBytes": 2, "quality": {"f1": 0.5, "recall": None}}}
