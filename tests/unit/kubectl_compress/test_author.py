"""`submit` and `retry` create jobs in the name of their user."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_compress.cluster import Cluster
from kubectl_compress.commands.retry import retry
from kubectl_compress.commands.submit import submit
from kubectl_compress.errors import AlreadyExists, ClusterError, Forbidden
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job
from kubectl_compress.kubectl import Kubectl
from kubectl_compress.options import parser
from tests.support import manifests
from tests.support.screens import notes_of, terminal

OLD_CRD = 'CompressionJob in version "v1alpha1" cannot be handled: strict decoding error: unknown field "spec.author"'


class Recording(Cluster):
    """A cluster that knows its user, forbids reading runtimes and stores, and keeps created objects."""

    def __init__(self, user: str = "ada@example.com", *, knows_authors: bool = True) -> None:
        super().__init__(Kubectl((), "ml"))
        self._user, self._knows_authors = user, knows_authors
        self.created: dict[str, Mapping[str, Any]] = {}

    def user(self) -> str:
        if not self._user:
            raise ClusterError("there is no SelfSubjectReview")
        return self._user

    def runtimes(self) -> list[dict[str, Any]]:
        raise Forbidden("compressionruntimes")

    def stores(self, namespace: str) -> list[dict[str, Any]]:
        raise Forbidden("compressionstores")

    def job(self, name: str, namespace: str = "") -> Job:
        return Job(self.created[name])

    def create(
        self, plural: str, namespace: str, manifest: Mapping[str, Any], *, dry_run: bool = False
    ) -> dict[str, Any]:
        if "author" in manifest["spec"] and not self._knows_authors:
            raise ClusterError(OLD_CRD)
        name = manifest["metadata"]["name"]
        if name in self.created:
            raise AlreadyExists(name)
        self.created[name] = json.loads(json.dumps(manifest))
        return dict(self.created[name])


def submitted(cluster: Cluster, folder: Path, **changes: Any) -> tuple[ExitCode, str]:
    place = folder / "job.yaml"
    place.write_text(yaml.safe_dump(manifests.job(**changes)))
    screen = terminal()
    arguments = parser("0").parse_args(["submit", str(place)])
    manifest = yaml.safe_load(place.read_text())
    manifest["metadata"].pop("namespace", None)
    place.write_text(yaml.safe_dump(manifest))
    return submit(arguments, cluster, screen), notes_of(screen)


@pytest.mark.parametrize(
    ("cluster", "changes", "author"),
    [
        (Recording(), {}, "ada@example.com"),
        (Recording(), {"spec__author": "someone@example.com"}, "someone@example.com"),
        (Recording(user=""), {}, None),
        (Recording(knows_authors=False), {}, None),
    ],
    ids=["added", "as written", "unknown user", "older CRDs"],
)
def test_a_submitted_job_names_its_author(
    cluster: Recording, changes: dict[str, Any], author: str | None, tmp_path: Path
) -> None:
    assert submitted(cluster, tmp_path, **changes)[0] is ExitCode.DONE
    assert cluster.created["minilm-int8"]["spec"].get("author") == author


def test_other_errors_are_not_retried_without_the_author(tmp_path: Path) -> None:
    cluster = Recording()
    submitted(cluster, tmp_path)
    status, text = submitted(cluster, tmp_path)
    assert status is not ExitCode.DONE
    assert "exists already with this very spec" in text  # the author is no difference


def test_retry_names_the_retrying_user() -> None:
    cluster = Recording(user="rita@example.com")
    failed = manifests.job(spec__author="ada@example.com") | {"status": {"phase": "Failed"}}
    cluster.created["minilm-int8"] = failed
    assert retry(parser("0").parse_args(["retry", "minilm-int8"]), cluster, terminal()) is ExitCode.DONE
    assert cluster.created["minilm-int8-retry-1"]["spec"]["author"] == "rita@example.com"
