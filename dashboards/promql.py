"""Parts of PromQL that several queries share."""


def of_leader(metric: str) -> str:
    """The metric as the leader has it.

    Every replica sees every job, but only the leader works: what others count or queue is no news.
    """
    return f"{metric} * on (instance) group_left () (compression_operator_leader == 1)"


def jobs(by: str, selector: str = "") -> str:
    """CompressionJobs that exist."""
    return f"sum by ({by}) ({of_leader(f'compression_operator_jobs{selector}')})"


def of_job(gauge: str, selector: str = "", *more: str) -> str:
    """A gauge of jobs, whichever replica tells it; ``more`` are labels beside namespace and job."""
    return f"max by ({', '.join(('namespace', 'job', *more))}) (compression_operator_job_{gauge}{selector})"


def among(label: str, *values: str, negated: bool = False) -> str:
    """A matcher: the label has one of these values, or none of them."""
    return f'{label}{"!~" if negated else "=~"}"{"|".join(values)}"'


def increase(by: str, metric: str, span: str) -> str:
    """How much a counter has grown."""
    return f"sum by ({by}) (increase({metric}[{span}]))"


def rate(by: str, metric: str) -> str:
    """Events per second over Grafana's rate interval."""
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def quantile(share: float, metric: str) -> str:
    """A quantile of a histogram over Grafana's rate interval."""
    return f"histogram_quantile({share}, {rate('le', f'{metric}_bucket')})"
