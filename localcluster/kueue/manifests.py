"""Adaptation of Kueue's manifests to the local cluster."""

import json
from collections.abc import Iterable
from typing import Any, Final

Object = dict[str, Any]

NAMESPACE: Final = "kueue-system"
DEPLOYMENT: Final = "kueue-controller-manager"
PROGRAM: Final = "/manager"
"""Path of the program in the image, as in the Deployment's command."""
_USER: Final = 65532  # the image has no user, and runAsNonRoot needs one
_GROUPS: Final = frozenset({"batch", "kueue.x-k8s.io"})
"""API groups whose webhooks are kept: Jobs, and Kueue's own."""
WEBHOOKS: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_CONFIGURATION: Final = {
    "apiVersion": "config.kueue.x-k8s.io/v1beta2",
    "kind": "Configuration",
    "health": {"healthProbeBindAddress": ":8081"},
    "metrics": {"bindAddress": ":8443"},
    "webhook": {"port": 9443},
    # Otherwise a new Kueue would wait for the Lease of a killed one.
    "leaderElection": {"leaderElect": False},
    "clientConnection": {"qps": 50, "burst": 100},
    "integrations": {"frameworks": ["batch/job"]},
    # The feature needs an API server with a front proxy.
    "featureGates": {"VisibilityOnDemand": False},
}


def parse(text: str) -> list[Object]:
    """Return the objects of consecutive JSON documents, as kubectl prints them."""
    decoder, objects, place = json.JSONDecoder(), [], 0
    while place < len(text):
        item, place = decoder.raw_decode(text, place)
        objects.append(item)
        while text[place : place + 1].isspace():
            place += 1
    return objects


def adapt(objects: Iterable[Object], image: str) -> list[Object]:
    """Return the objects with this image, batch/v1 Jobs as the only framework, and small requests.

    APIServices are left out: without a front proxy they are unavailable, which blocks the deletion of namespaces. The
    webhooks of other kinds are left out too: while Kueue starts, they would refuse every pod of the cluster.
    """
    return [_adapt(item, image) for item in objects if item["kind"] != "APIService"]


def _adapt(item: Object, image: str) -> Object:
    match item["kind"]:
        case "Deployment":
            return _deployment(item, image)
        case "ConfigMap":
            return item | {"data": {"controller_manager_config.yaml": json.dumps(_CONFIGURATION, indent=2)}}
        case kind if kind in WEBHOOKS:
            return item | {"webhooks": [webhook for webhook in item["webhooks"] if _is_wanted(webhook)]}
        case _:
            return item


def _is_wanted(webhook: Object) -> bool:
    return all(group in _GROUPS for rule in webhook["rules"] for group in rule["apiGroups"])


def _deployment(item: Object, image: str) -> Object:
    spec = item["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    container = container | {
        "image": image,
        "imagePullPolicy": "Never",
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "readinessProbe": container["readinessProbe"] | {"initialDelaySeconds": 1, "periodSeconds": 1},
    }
    pod = pod | {
        "containers": [container],
        "dnsPolicy": "Default",
        "securityContext": pod["securityContext"] | {"runAsUser": _USER, "runAsGroup": _USER},
    }
    template = spec["template"] | {"spec": pod}
    # The old pod must end first, since two would overwrite each other's certificates.
    return item | {"spec": spec | {"template": template, "strategy": {"type": "Recreate"}}}
