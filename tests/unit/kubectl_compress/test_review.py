"""`approve` and `reject` decide only about the result that they have shown."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

import pytest

from kubectl_compress.cluster import Cluster
from kubectl_compress.commands.review import approve
from kubectl_compress.errors import Invalid
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job
from kubectl_compress.kubectl import Kubectl
from tests.support.screens import DIGEST, judged, terminal
from tests.support.screens import job as job_of

GIVEN = argparse.Namespace(name="minilm-int8", reason="read it", yes=True, dry_run=True)


class Changing(Cluster):
    """A cluster that returns another job at each read; the last one stays."""

    def __init__(self, *jobs: Job) -> None:
        super().__init__(Kubectl((), "ml"))
        self._jobs, self.created = list(jobs), list[Mapping[str, Any]]()

    def job(self, name: str, namespace: str = "") -> Job:
        return self._jobs.pop(0) if len(self._jobs) > 1 else self._jobs[0]

    def user(self) -> str:
        return "rita@example.com"

    def create(
        self, plural: str, namespace: str, manifest: Mapping[str, Any], *, dry_run: bool = False
    ) -> dict[str, Any]:
        self.created.append(manifest)
        return json.loads(json.dumps(manifest)) | {"metadata": {"name": "review-a"}}


def waiting(uid: str = "uid-minilm-int8", phase: str = "AwaitingReview", **status: Any) -> Job:
    job = job_of(status=judged(phase=phase, **status))
    job.raw["metadata"]["uid"] = uid
    return job


def test_the_review_is_bound_to_the_job_and_the_result_that_were_shown() -> None:
    cluster = Changing(waiting())
    assert approve(GIVEN, cluster, terminal()) == ExitCode.DONE
    (created,) = cluster.created
    assert (created["spec"]["jobUID"], created["spec"]["digest"]) == ("uid-minilm-int8", DIGEST)


OTHERS = [
    (waiting(digest="sha256:" + "5a" * 32), "result of the job minilm-int8 has changed: it was sha256:4f4f"),
    (waiting(uid="another"), "the job minilm-int8 was deleted meanwhile, and another has its name"),
    (waiting(phase="Running", review={"decision": "Reject", "reviewer": "ron", "reason": "no"}), "rejected by ron: no"),
]


@pytest.mark.parametrize(("later", "why"), OTHERS, ids=[why[:40] for _, why in OTHERS])
def test_changed_result_is_not_decided(later: Job, why: str) -> None:
    cluster = Changing(waiting(), later)
    with pytest.raises(Invalid, match=why):
        approve(GIVEN, cluster, terminal())
    assert cluster.created == []


def test_job_without_a_digest_cannot_be_reviewed() -> None:
    with pytest.raises(Invalid, match="has no digest of the result that waits"):
        approve(GIVEN, Changing(waiting(digest="")), terminal())


def test_own_review_is_refused() -> None:
    status = judged("Pass", phase="AwaitingReview") | {"terms": {"separation": True}}
    own = job_of(status=status, spec__author="rita@example.com")
    cluster = Changing(own)
    with pytest.raises(Invalid, match=r"you \(rita@example.com\) are the author of the job minilm-int8"):
        approve(GIVEN, cluster, terminal())
    assert not cluster.created
    other = Changing(job_of(status=status, spec__author="ada@example.com"))
    assert approve(GIVEN, other, terminal()) is ExitCode.DONE
