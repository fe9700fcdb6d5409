"""Alerts about the ends of jobs: verdicts and failures."""

from typing import Final

from compressionjob import conditions
from dashboards.alerts.alert import Alert
from dashboards.promql import increase, label_matcher

VERDICT_REASONS: Final = (
    conditions.SLA_VIOLATED,
    conditions.SLA_INCONCLUSIVE,
    conditions.REVIEW_REJECTED,
    conditions.REVIEW_TIMED_OUT,
)
"""Reasons of Failed that are a verdict or a person's decision rather than an error."""

WITH_OWN_ALERT: Final = (conditions.OUT_OF_MEMORY, conditions.STORAGE_UNAVAILABLE)
"""Reasons of Failed that have an alert of their own."""

_REFUSALS: Final = 'compression_operator_verdicts_total{verdict="Fail"}'
_VERDICTS: Final = "compression_operator_verdicts_total"
_ENDS: Final = "compression_operator_jobs_ended_total"
_RETRIES: Final = "compression_operator_retries_total"

_OPEN: Final = increase("namespace", _VERDICTS + '{verdict="Inconclusive"}', "6h")
# A job without limits is not judged, so it does not count.
_JUDGED: Final = increase("namespace", _VERDICTS + '{verdict!="NoLimits"}', "6h")
_KILLED: Final = increase("namespace", _ENDS + "{" + label_matcher("reason", conditions.OUT_OF_MEMORY) + "}", "6h")
_ENDED: Final = increase("namespace", _ENDS, "6h")
# One job has four failed attempts with the default retries, so five concern more than one job.
_AWAY: Final = "{" + label_matcher("reason", conditions.STORAGE_UNAVAILABLE) + "}"
_OTHERS: Final = '{phase="Failed", ' + label_matcher("reason", *VERDICT_REASONS, *WITH_OWN_ALERT, negated=True) + "}"

RESULTS: Final = (
    Alert(
        "CompressionJobSLAViolated",
        # increase() ignores the first sample of a new counter, so the second term counts it.
        f"sum by (namespace) (increase({_REFUSALS}[1h]) > 0 or {_REFUSALS} unless {_REFUSALS} offset 1h) > 0",
        "0m",
        "info",
        "A compressed model does not keep its SLA.",
        # increase() extrapolates before the first sample and after the last, such as to 1.015 jobs.
        'In the last hour {{ $value | printf "%.0f" }} CompressionJobs ended with the verdict Fail. '
        "`kubectl get cpj --all-namespaces` shows them; each job's status has the objectives, limit by limit.",
    ),
    Alert(
        "CompressionJobsInconclusive",
        f"{_OPEN} / ({_JUDGED} >= 4) > 0.25",
        "0m",
        "warning",
        "{{ $value | humanizePercentage }} of the verdicts are Inconclusive.",
        "In the last 6 hours the measurements left more than a quarter of the verdicts open: the machines are too "
        "noisy, the runs too short, or the limits too close to the measured values.",
    ),
    Alert(
        "CompressionJobsOutOfMemory",
        f"{_KILLED} >= 2 and {_KILLED} / {_ENDED} > 0.1",
        "0m",
        "warning",
        '{{ $value | printf "%.0f" }} CompressionJobs ran out of memory.',
        "In the last 6 hours more than a tenth of the jobs that ended were killed for their memory: the limits of the "
        "CompressionRuntimes do not suit the models.",
    ),
    Alert(
        "CompressionJobsStorageErrors",
        f"{increase('namespace', _RETRIES + _AWAY, '30m')} + {increase('namespace', _ENDS + _AWAY, '30m')} >= 5",
        "0m",
        "warning",
        '{{ $value | printf "%.0f" }} attempts failed on storage within half an hour.',
        "A source or a destination of CompressionJobs is unreachable or slow, or another writer changes it. Attempts "
        "are repeated with backoff, as often as the jobs' retries allow.",
    ),
    Alert(
        "CompressionJobsFailing",
        f"{increase('namespace, reason', _ENDS + _OTHERS, '1h')} >= 3",
        "0m",
        "warning",
        '{{ $value | printf "%.0f" }} CompressionJobs failed within an hour: {{ $labels.reason }}.',
        "Several jobs failed for the same reason, {{ $labels.reason }}, which is not a verdict. They may share the "
        "cause, such as a manifest, a runtime or a node.",
    ),
)
