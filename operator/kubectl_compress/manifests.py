"""Read CompressionJobs from YAML files: several documents, lists, standard input."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from compressionjob.crd_schema import structural
from compressionjob.errors import FieldProblem, InvalidSpec, kind_of, name_problem
from compressionjob.group import JOB_KIND, REVIEW_KIND, RUNTIME_KIND
from compressionjob.hints import nearest
from compressionjob.pod_input import size_problems
from compressionjob.spec import CompressionJobSpec, parse_job
from kubectl_compress.errors import Invalid, InvalidManifest
from kubectl_compress.quoting import quoting_problems

STANDARD_INPUT: Final = "-"
_GENERATED: Final = "xxxxx"
"""Placeholder for the suffix of a generated name."""
_SUFFIXES: Final = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Manifest:
    """A valid CompressionJob without defaults; ``origin`` is the file, for messages."""

    origin: str
    raw: dict[str, Any]

    @property
    def name(self) -> str:
        """The job's name; "" if the server generates it from generateName."""
        return str(self.raw["metadata"].get("name", ""))

    @property
    def namespace(self) -> str:
        """The namespace in the manifest, or ""."""
        return str(self.raw["metadata"].get("namespace", ""))

    @property
    def named(self) -> dict[str, Any]:
        """The job with a name: a placeholder if the server generates it from generateName."""
        metadata = self.raw["metadata"]
        if metadata.get("name") or not metadata.get("generateName"):
            return self.raw
        return self.raw | {"metadata": metadata | {"name": f"{metadata['generateName']}{_GENERATED}"}}

    def renamed(self, name: str) -> "Manifest":
        """Return the job with another name."""
        metadata = {key: value for key, value in self.raw["metadata"].items() if key != "generateName"}
        return Manifest(self.origin, self.raw | {"metadata": metadata | {"name": name}})


@dataclass(frozen=True)
class Manifests:
    """The content of files: jobs, objects of other kinds as ``Secret/s3 in job.yaml``, and problems."""

    jobs: list[Manifest]
    others: list[str]
    problems: list[InvalidManifest]


def read(paths: Sequence[str]) -> Manifests:
    """Read and validate all CompressionJobs in the files.

    Raises Invalid for a file that cannot be read.
    """
    manifests = Manifests([], [], [])
    for path in paths:
        for number, document in enumerate(_documents(path), start=1):
            origin = "standard input" if path == STANDARD_INPUT else path
            _sort(manifests, document, origin if number == 1 else f"{origin}, document {number}")
    return manifests


def check(raw: dict[str, Any], origin: str) -> Manifest:
    """Validate a manifest with the contract.

    Raises InvalidManifest with all invalid fields.
    """
    named = Manifest(origin, raw).named if isinstance(raw.get("metadata"), dict) else raw
    more_problems = list(quoting_problems(raw.get("spec"), structural(CompressionJobSpec), "spec"))
    metadata = named.get("metadata")
    bad_name = name_problem("metadata.name", metadata.get("name")) if isinstance(metadata, dict) else None
    if bad_name is not None:
        more_problems.insert(0, bad_name)
    try:
        parse_job(named)
    except InvalidSpec as error:
        fields = {problem.field for problem in error.problems}
        more = [problem for problem in more_problems if problem.field not in fields]
        raise InvalidManifest(origin, [*error.problems, *more]) from error
    more_problems.extend(size_problems(named))
    if more_problems:
        raise InvalidManifest(origin, more_problems)
    return Manifest(origin, {key: value for key, value in raw.items() if key != "status"})


def _sort(manifests: Manifests, document: Any, origin: str) -> None:
    if not isinstance(document, dict):
        remedy = f"it is {kind_of(document)}; write a mapping with apiVersion and kind"
        problem = FieldProblem("manifest", "", remedy)
        manifests.problems.append(InvalidManifest(origin, [problem]))
        return
    kind, metadata = document.get("kind"), document.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    if kind is not None and not _means_job(str(kind)):
        manifests.others.append(f"{kind}/{name} in {origin}")
        return
    try:
        manifests.jobs.append(check(document, f"{origin}: {name}" if name else origin))
    except InvalidManifest as error:
        manifests.problems.append(error)


def _means_job(kind: str) -> bool:
    """Return whether a kind is CompressionJob or a misspelling of it, which the contract then reports."""
    return kind == JOB_KIND or (kind not in (RUNTIME_KIND, REVIEW_KIND) and bool(nearest(kind, [JOB_KIND])))


def _documents(path: str) -> Iterator[Any]:
    for document in _load(path):
        if isinstance(document, dict) and document.get("kind") == "List":
            yield from document.get("items") or ()
        elif document is not None:
            yield document


def _load(path: str) -> list[Any]:
    if path != STANDARD_INPUT and Path(path).is_dir():
        raise Invalid(f"{path} is a folder", f"name the files, such as {path.rstrip('/')}/*{_SUFFIXES[0]}")
    try:
        text = sys.stdin.read() if path == STANDARD_INPUT else Path(path).read_text(encoding="utf-8")
        return list(yaml.safe_load_all(text))
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}", "name an existing file that you may read") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} cannot be read: it is not UTF-8 text", "name a YAML or JSON file") from error
    except yaml.YAMLError as error:
        where, problem = yaml_problem(error)
        remedy = "correct it; keys of one mapping begin at the same column, with blanks, not tabs"
        raise Invalid(f"{path} cannot be read as YAML{where}: {problem}", remedy) from error


def yaml_problem(error: yaml.YAMLError) -> tuple[str, str]:
    """Return the position of a YAML error, such as " (line 3, column 5)", and its cause."""
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
    problem = str(getattr(error, "problem", None) or "it has characters that YAML does not allow")
    return where, problem.replace(r"'\t'", "tab")
