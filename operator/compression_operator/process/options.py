"""Command-line options of the operator, with defaults from the environment."""

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

from compression_operator.records.requirements import Requirements
from compression_operator.telemetry.metrics import DEFAULT_JOB_SERIES
from compressionjob.errors import InvalidSpec
from compressionjob.review_rules import ReviewRule, parse_rules

PREFIX: Final = "COMPRESSION_OPERATOR_"


@dataclass(frozen=True)
class Options:
    """The options of one replica.

    No ``namespaces`` means all of them; ``progress_interval`` is in seconds. ``children_protected``: the chart's
    admission policies let only the operator create child Jobs. With a ``metrics_certificate``, /metrics is served on
    ``metrics_port``, for tokens that may read it.
    """

    namespaces: tuple[str, ...]
    lease_namespace: str
    lease_name: str
    identity: str
    port: int
    metrics_port: int
    metrics_certificate: Path | None
    network_policy: Path | None
    workers: int
    progress_interval: float
    max_job_series: int
    notifications: Path | None
    children_protected: bool
    requirements: Requirements
    log_format: Literal["json", "text"]
    log_level: str


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Parse the command line; the default of each option is the variable COMPRESSION_OPERATOR_<OPTION>.

    Exits with status 2 and a message if an option is invalid.
    """
    values = _parser(environment).parse_args(arguments)
    host = environment.get("POD_NAME") or socket.gethostname()
    return Options(
        namespaces=tuple(dict.fromkeys(values.namespace or _listed(environment.get(f"{PREFIX}NAMESPACES", "")))),
        lease_namespace=values.lease_namespace,
        lease_name=values.lease_name,
        identity=f"{host}_{uuid4()}",
        port=values.port,
        metrics_port=values.metrics_port,
        metrics_certificate=_path(values.metrics_certificate),
        network_policy=_path(values.network_policy),
        workers=values.workers,
        progress_interval=values.progress_interval,
        max_job_series=values.max_job_series,
        notifications=_path(values.notifications),
        children_protected=values.children_protected,
        requirements=Requirements(values.review_rules, values.identities_verified),
        log_format=values.log_format,
        log_level=values.log_level,
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    def default(option: str, otherwise: str) -> str:
        return environment.get(PREFIX + option.upper().replace("-", "_"), otherwise)

    parser = argparse.ArgumentParser(
        prog="compression-operator",
        description="Compresses models as Kubernetes resources, and gives a verdict on the result.",
    )
    run = parser.add_subparsers(dest="command", required=True).add_parser("run", help="run the control loop")
    run.add_argument(
        "--namespace", action="append", metavar="NAME",
        help="serve only this namespace; may be given more than once; all namespaces by default",
    )  # fmt: skip
    run.add_argument(
        "--lease-namespace", default=default("lease-namespace", environment.get("POD_NAMESPACE", "default")),
        metavar="NAME", help="namespace of the Lease by which replicas elect a leader",
    )  # fmt: skip
    run.add_argument("--lease-name", default=default("lease-name", "compression-operator"), metavar="NAME")
    run.add_argument(
        "--port", type=int, default=default("port", "8080"), help="port of /metrics, /healthz and /readyz; 0: any"
    )
    run.add_argument(
        "--metrics-certificate", default=default("metrics-certificate", ""), metavar="DIRECTORY",
        help="folder with tls.crt and tls.key; /metrics is then served over HTTPS, to bearer tokens with access",
    )  # fmt: skip
    run.add_argument(
        "--metrics-port", type=int, default=default("metrics-port", "8443"), metavar="PORT",
        help="port of /metrics if it is served over HTTPS; 0: any",
    )  # fmt: skip
    run.add_argument(
        "--network-policy", default=default("network-policy", ""), metavar="FILE",
        help="settings of the NetworkPolicies for runners, as YAML; none are created by default",
    )  # fmt: skip
    run.add_argument(
        "--workers",
        type=_positive,
        default=default("workers", "8"),
        metavar="N",
        help="jobs reconciled at a time",
    )
    run.add_argument(
        "--progress-interval", type=_seconds, default=default("progress-interval", "5"), metavar="SECONDS",
        help="pause between two progress requests to a running pod",
    )  # fmt: skip
    run.add_argument(
        "--max-job-series", type=int, default=default("max-job-series", str(DEFAULT_JOB_SERIES)), metavar="N",
        help="maximum number of jobs with metrics of their own",
    )  # fmt: skip
    run.add_argument(
        "--notifications", default=default("notifications", ""), metavar="FILE",
        help="receivers of notifications, as YAML; none by default",
    )  # fmt: skip
    run.add_argument(
        "--children-protected", type=_truth, nargs="?", const=True, default=default("children-protected", "false"),
        metavar="true|false",
        help="the API server lets only the operator create child Jobs (the chart's admission policies); default: false",
    )  # fmt: skip
    run.add_argument(
        "--identities-verified", type=_truth, nargs="?", const=True, default=default("identities-verified", "false"),
        metavar="true|false",
        help="the API server admits spec.author and spec.reviewer only if they name the requesting user (the chart's "
        "admission policies); default: false",
    )  # fmt: skip
    run.add_argument(
        "--review-rules", type=_rules, default=default("review-rules", "[]"), metavar="JSON",
        help="reviews that are required on every runtime, as in the chart's value reviews; none by default",
    )  # fmt: skip
    run.add_argument("--log-format", choices=("json", "text"), default=default("log-format", "json"))
    run.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default=default("log-level", "info"))
    return parser


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text} is neither true nor false")
    return text == "true"


def _rules(text: str) -> tuple[ReviewRule, ...]:
    try:
        return parse_rules(text)
    except InvalidSpec as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number
