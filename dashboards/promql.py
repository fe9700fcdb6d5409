"""PromQL expressions that several queries share."""


def of_leader(metric: str) -> str:
    """Return the leader's value of a metric.

    Every replica watches every job, but only the leader works, so the counts and queues of others do not matter.
    """
    return f"{metric} * on (instance) group_left () (compression_operator_leader == 1)"


def jobs(by: str, selector: str = "") -> str:
    """Return the number of existing CompressionJobs."""
    return f"sum by ({by}) ({of_leader(f'compression_operator_jobs{selector}')})"


def of_job(gauge: str, selector: str = "", *more: str) -> str:
    """Return a gauge of jobs from any replica. ``more`` are labels in addition to namespace and job."""
    return f"max by ({', '.join(('namespace', 'job', *more))}) (compression_operator_job_{gauge}{selector})"


def label_matcher(label: str, *values: str, negated: bool = False) -> str:
    """Return a matcher: the label has one of these values, or none of them if ``negated``."""
    return f'{label}{"!~" if negated else "=~"}"{"|".join(values)}"'


def increase(by: str, metric: str, span: str) -> str:
    """Return the increase of a counter."""
    return f"sum by ({by}) (increase({metric}[{span}]))"


def rate(by: str, metric: str) -> str:
    """Return events per second over Grafana's rate interval."""
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def quantile(share: float, metric: str) -> str:
    """Return a quantile of a histogram over Grafana's rate interval."""
    return f"histogram_quantile({share}, {rate('le', f'{metric}_bucket')})"
