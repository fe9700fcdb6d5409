"""Whether a job asks for any of this, and what comes of it; light, since every job is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from compressionjob.estimate import Estimate
from compressionjob.spec import CompressionJobSpec
from compressionjob.trust_report import TrustReport


@dataclass(frozen=True)
class Trust:
    """The report's part, and what the objectives on trust are judged by."""

    report: TrustReport | None = None
    estimates: Mapping[str, Estimate] = field(default_factory=dict)


def is_asked(spec: CompressionJobSpec) -> bool:
    """Whether a job limits anything of it, or names groups."""
    limits, named = spec.sla, spec.data.evaluation.columns.group
    parts = (named, limits.fairness, limits.robustness, limits.attributions, limits.flips)
    return any(part is not None for part in parts)
