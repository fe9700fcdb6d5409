"""How to make the result again, and how to tell that it is the same: manifest, commands, versions and digests."""

from dataclasses import dataclass
from typing import Any, Final

import yaml

from compression_runner.report.objective_rows import path
from compressionjob.group import API_VERSION, JOB_KIND, REVIEW_KIND
from compressionjob.report import Report

PACKAGE: Final = "compression-operator"


@dataclass(frozen=True)
class Reproduction:
    """What a reader needs to make the result again."""

    manifest: str
    cluster: str
    local: str
    version: str
    digest: str
    inputs: tuple[tuple[str, str, str], ...]
    """What went in: what it is, where it came from, and its digest."""
    review: str
    """The manifest of a review of this very result, where it waits for one."""


def reproduction(report: Report) -> Reproduction:
    """Return how the report's result is made again."""
    spec = report.job.get("spec", {})
    metadata = {key: report.job[key] for key in ("name", "namespace") if report.job.get(key)}
    told = report.provenance
    inputs = [
        ("model", path(told, "source", "uri"), path(told, "source", "digest")),
        ("evaluation data", path(told, "evaluation", "uri"), path(told, "evaluation", "digest")),
    ]
    return Reproduction(
        manifest=_yaml({"apiVersion": API_VERSION, "kind": JOB_KIND, "metadata": metadata, "spec": spec}),
        cluster="kubectl apply -f job.yaml",
        local="compression-runner run job.yaml --workdir trial",
        version=str(path(told, "versions", PACKAGE) or ""),
        digest=str(report.artifact.get("digest") or ""),
        inputs=tuple((what, str(where), str(digest or "")) for what, where, digest in inputs if where),
        review=_review(report) if report.held else "",
    )


def _review(report: Report) -> str:
    name = str(report.job.get("name") or "job")
    metadata = {"generateName": f"{name}-", **({"namespace": space} if (space := report.job.get("namespace")) else {})}
    spec = {
        "job": name,
        "decision": "Approve",
        "reason": "WHY",
        "reviewer": "YOUR USER NAME, as kubectl auth whoami tells it",
        "digest": report.artifact.get("digest"),
    }
    return _yaml({"apiVersion": API_VERSION, "kind": REVIEW_KIND, "metadata": metadata, "spec": spec})


def _yaml(manifest: dict[str, Any]) -> str:
    return yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=100)
