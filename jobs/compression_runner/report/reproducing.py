"""How to reproduce the result, and how to verify it: manifest, commands, versions and digests."""

from dataclasses import dataclass
from typing import Any, Final

import yaml

from compressionjob.group import API_VERSION, JOB_KIND, REVIEW_KIND
from compressionjob.report import Report

PACKAGE: Final = "compression-operator"


@dataclass(frozen=True)
class Reproduction:
    """The manifest, commands and digests that reproduce the result."""

    manifest: str
    cluster: str
    local: str
    version: str
    digest: str
    inputs: tuple[tuple[str, str, str], ...]
    """The inputs: name, location and digest."""
    review: str
    """The manifest of a review of this result, if it waits for one."""


def reproduction(report: Report) -> Reproduction:
    """Return how to reproduce the report's result."""
    job, source, evaluation = report.job, report.provenance.source, report.provenance.evaluation
    metadata = {key: value for key, value in (("name", job.name), ("namespace", job.namespace)) if value}
    inputs = [
        ("model", source.uri, source.digest),
        ("evaluation data", evaluation.uri, evaluation.digest),
        *((f"task {one.name}", one.source, one.digest) for one in (report.recovery.tasks if report.recovery else ())),
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
        "reviewer": "YOUR USER NAME, as kubectl auth whoami shows it",
        "digest": report.artifact.digest,
    }
    return _yaml({"apiVersion": API_VERSION, "kind": REVIEW_KIND, "metadata": metadata, "spec": spec})


def _yaml(manifest: dict[str, Any]) -> str:
    return yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=100)
