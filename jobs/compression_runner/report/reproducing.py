"""How to make the result again, and how to tell that it is the same: manifest, commands, versions and digests."""

from dataclasses import dataclass
from typing import Any, Final

import yaml

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
    job, source, evaluation = report.job, report.provenance.source, report.provenance.evaluation
    metadata = {key: value for key, value in (("name", job.name), ("namespace", job.namespace)) if value}
    inputs = [
        ("model", source.uri, source.digest),
        ("evaluation data", evaluation.uri, evaluation.digest),
    ]
    return Reproduction(
        manifest=_yaml({"apiVersion": API_VERSION, "kind": JOB_KIND, "metadata": metadata, "spec": job.spec}),
        cluster="kubectl apply -f job.yaml",
        local="compression-runner run job.yaml --workdir trial",
        version=report.provenance.versions.get(PACKAGE, ""),
        digest=report.artifact.digest,
        inputs=tuple(one for one in inputs if one[1]),
        review=_review(report) if report.held else "",
    )


def _review(report: Report) -> str:
    name, namespace = report.job.name or "job", report.job.namespace
    metadata = {"generateName": f"{name}-", **({"namespace": namespace} if namespace else {})}
    spec = {
        "job": name,
        "jobUID": report.job.uid or "THE JOB'S metadata.uid",
        "decision": "Approve",
        "reason": "WHY",
        "reviewer": "YOUR USER NAME, as kubectl auth whoami tells it",
        "digest": report.artifact.digest,
    }
    return _yaml({"apiVersion": API_VERSION, "kind": REVIEW_KIND, "metadata": metadata, "spec": spec})


def _yaml(manifest: dict[str, Any]) -> str:
    return yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=100)
