"""Kueue's own manifests, made fit for the local cluster: plain data in, plain data out."""

import json
from collections.abc import Iterable
from typing import Any, Final

Object = dict[str, Any]

NAMESPACE: Final = "kueue-system"
DEPLOYMENT: Final = "kueue-controller-manager"
PROGRAM: Final = "/manager"
"""Where the Deployment's command expects the program in the image."""
_USER: Final = 65532  # the image names no user, and runAsNonRoot asks for one
_GROUPS: Final = frozenset({"batch", "kueue.x-k8s.io"})
"""API groups whose objects go through Kueue's webhooks: Jobs, and Kueue's own."""
WEBHOOKS: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_CONFIGURATION: Final = {
    "apiVersion": "config.kueue.x-k8s.io/v1beta2",
    "kind": "Configuration",
    "health": {"healthProbeBindAddress": ":8081"},
    "metrics": {"bindAddress": ":8443"},
    "webhook": {"port": 9443},
    # A second Kueue would wait for the Lease of one that was killed.
    "leaderElection": {"leaderElect": False},
    "clientConnection": {"qps": 50, "burst": 100},
    "integrations": {"frameworks": ["batch/job"]},
    # It needs an API server with a front proxy.
    "featureGates": {"VisibilityOnDemand": False},
}


def parse(text: str) -> list[Object]:
    """Return the objects of JSON documents that follow each other, as kubectl prints several."""
    decoder, objects, place = json.JSONDecoder(), [], 0
    while place < len(text):
        item, place = decoder.raw_decode(text, place)
        objects.append(item)
        while text[place : place + 1].isspace():
            place += 1
    return objects


def adapt(objects: Iterable[Object], image: str) -> list[Object]:
    """Return the objects with this image, batch/v1 Jobs as the only framework, and small requests.

    APIServices are left out: without a front proxy they never answer, and namespaces are then never deleted. So are
    the webhooks of other kinds: while Kueue starts, they would refuse every pod of the cluster.
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
    # The old pod has to go first: two would fight over the certificates.
    return item | {"spec": spec | {"template": template, "strategy": {"type": "Recreate"}}}
