"""A real Prometheus on loopback, with the scrape configurations of a test."""

import json
import shutil
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dashboards.generated import ROOT
from localcluster import debian, ports
from localcluster.servers import servers

RULES = ROOT / "dashboards" / "rules.yaml"


@dataclass(frozen=True)
class Series:
    """One series of a response: labels, and values with their times, oldest first."""

    labels: Mapping[str, str]
    values: Sequence[tuple[float, float]]

    @property
    def last(self) -> float:
        """Newest value."""
        return self.values[-1][1]


@dataclass(frozen=True)
class Prometheus:
    """The HTTP API of one server."""

    url: str

    def ask(self, path: str, **parameters: str | float) -> Any:
        """Send a request to the API. Raises urllib.error.HTTPError if Prometheus refuses it."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=30) as answer:
            return json.load(answer)["data"]

    def instant(self, expression: str, at: float | None = None) -> list[Series]:
        """Return the value of an expression now, or at another time."""
        return _series(self.ask("query", query=expression, time=time.time() if at is None else at)["result"])

    def range(self, expression: str, start: float, end: float, step: float = 1.0) -> list[Series]:
        """Return the values of an expression in a time range."""
        return _series(self.ask("query_range", query=expression, start=start, end=end, step=step)["result"])

    def number(self, expression: str) -> float | None:
        """Return the current value of an expression, None if it has none."""
        series = self.instant(expression)
        return series[0].last if series else None

    def by_label(self, expression: str, label: str) -> dict[str, float]:
        """Return the current value of each series, by a label."""
        return {series.labels[label]: series.last for series in self.instant(expression)}


def _series(result: list[dict[str, Any]]) -> list[Series]:
    return [
        Series(item["metric"], [(float(at), float(value)) for at, value in item.get("values", [item.get("value")])])
        for item in result
    ]


@contextmanager
def start(scrapes: Sequence[dict[str, Any]], alertmanager: str, interval: str = "1s") -> Iterator[Prometheus]:
    """Start Prometheus with these scrape configurations and the project's rules. It ends with the block.

    Alerts go to the Alertmanager at that address.
    """
    debian.ensure(debian.PROMETHEUS)
    every = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
    with servers("prometheus") as group:
        address = f"127.0.0.1:{ports.free()}"
        config = group.folder / "prometheus.yaml"
        content = {"global": every, "rule_files": [str(RULES)], "scrape_configs": list(scrapes)}
        alerting = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
        config.write_text(json.dumps(content | {"alerting": alerting}))
        command = [
            shutil.which("prometheus") or "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={group.folder / 'data'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ]
        group.start("prometheus", command)
        group.wait("prometheus", lambda: _is_ready(f"http://{address}/-/ready"))
        yield Prometheus(f"http://{address}")


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
