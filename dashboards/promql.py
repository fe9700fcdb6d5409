"""Parts of PromQL that several queries share."""


def of_leader(metric: str, *, ago: str = "") -> str:
    """The metric as the leader has it, now or some time ago.

    Every replica sees every job, but only the leader works: what others count or queue is no news.
    """
    offset = f" offset {ago}" if ago else ""
    return f"{metric}{offset} * on (instance) group_left () (compression_operator_leader{offset} == 1)"


def jobs(by: str, selector: str = "", *, ago: str = "") -> str:
    """CompressionJobs that exist, or did some time ago."""
    return f"sum by ({by}) ({of_leader(f'compression_operator_jobs{selector}', ago=ago)})"


def rate(by: str, metric: str) -> str:
    """Events per second over Grafana's rate interval."""
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def quantile(share: float, metric: str) -> str:
    """A quantile of a histogram over Grafana's rate interval."""
    return f"histogram_quantile({share}, {rate('le', f'{metric}_bucket')})"
