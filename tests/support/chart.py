"""The rendered chart, without a cluster, as release demo in the namespace system."""

import functools
from typing import Any

import yaml

from charts.generate import CHART
from localcluster import tools
from localcluster.command import run


def render(*arguments: str) -> list[dict[str, Any]]:
    """Return all objects."""
    text = run([tools.helm(), "template", "demo", CHART, "--namespace=system", *arguments])
    return [item for item in yaml.safe_load_all(text) if item]


def kind(name: str, *arguments: str) -> list[dict[str, Any]]:
    """Return the objects of a kind."""
    return [item for item in render(*arguments) if item["kind"] == name]


@functools.cache
def operator(*arguments: str) -> dict[str, Any]:
    """Return the container of the operator."""
    (deployment,) = kind("Deployment", *arguments)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)
