"""What the chart renders, without a cluster, as the release demo in the namespace system."""

import functools
from typing import Any

import yaml

from charts.generate import CHART
from localcluster import tools
from localcluster.command import run


def render(*arguments: str) -> list[dict[str, Any]]:
    """All objects."""
    text = run([tools.helm(), "template", "demo", CHART, "--namespace=system", *arguments])
    return [item for item in yaml.safe_load_all(text) if item]


def kind(name: str, *arguments: str) -> list[dict[str, Any]]:
    """The objects of a kind."""
    return [item for item in render(*arguments) if item["kind"] == name]


@functools.cache
def operator(*arguments: str) -> dict[str, Any]:
    """The container of the operator."""
    (deployment,) = kind("Deployment", *arguments)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)
