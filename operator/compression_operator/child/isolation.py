"""The isolation of a pod that measures: its anti-affinity, and the variables that describe it."""

from typing import Any

from compressionjob.group import JOB_UID_LABEL
from compressionjob.measuring import NODE, Isolation, isolation_of_cpus
from compressionjob.pod_interface import CONTAINER, CPUS_VARIABLE, ISOLATION_VARIABLE


def affinity_of(slot: str) -> dict[str, Any]:
    """Return the pod's affinity: with the slot Node, no other pod of a CompressionJob may use its node.

    A required anti-affinity holds both ways: the scheduler keeps later pods with that label off the node, too.
    """
    if slot != NODE:
        return {}
    term = {
        "labelSelector": {"matchExpressions": [{"key": JOB_UID_LABEL, "operator": "Exists"}]},
        "namespaceSelector": {},
        "topologyKey": "kubernetes.io/hostname",
    }
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def isolation_variables(isolation: Isolation) -> list[dict[str, Any]]:
    """Return the environment variables with the isolation of the pod's CPUs and the number of reserved ones."""
    reserved = {"containerName": CONTAINER, "resource": "requests.cpu", "divisor": "1"}
    return [
        {"name": ISOLATION_VARIABLE, "value": isolation_of_cpus(isolation)},
        {"name": CPUS_VARIABLE, "valueFrom": {"resourceFieldRef": reserved}},
    ]
