"""Why a scheduled pod does not start, with the kubelet's message and the command that fixes it."""

import json
import re
from typing import Any, Final

from compression_operator.loop.draft import Draft
from compression_operator.records.pod import PodRecord
from compression_operator.records.reading import ConditionRecord
from compressionjob.conditions import CONTAINER_CONFIG_ERROR, IMAGE_PULL_FAILED
from compressionjob.group import RUNTIME_SHORT_NAME
from compressionjob.pod_interface import ACCESS_KEY_ID, HUB_TOKEN_KEY, SECRET_ACCESS_KEY
from compressionjob.stores import StoreConnection

MAX_QUOTE: Final = 300
"""Maximum characters of the kubelet's message."""

# The kubelet's reasons for a container that cannot start. It keeps retrying in all these cases.
_REASONS: Final = {
    "ErrImagePull": IMAGE_PULL_FAILED,
    "ImagePullBackOff": IMAGE_PULL_FAILED,
    "InvalidImageName": IMAGE_PULL_FAILED,
    "ErrImageNeverPull": IMAGE_PULL_FAILED,
    "ImageInspectError": IMAGE_PULL_FAILED,
    "RegistryUnavailable": IMAGE_PULL_FAILED,
    "CreateContainerConfigError": CONTAINER_CONFIG_ERROR,
    "CreateContainerError": CONTAINER_CONFIG_ERROR,
    "RunContainerError": CONTAINER_CONFIG_ERROR,
}
_NO_SECRET: Final = re.compile(r'secret "([^"]+)" not found')
_NO_KEY: Final = re.compile(r"couldn't find key (\S+) in Secret (?:[^/\s]+/)?(\S+)")
_DENIED: Final = ("unauthorized", "denied", "authorization failed", "authentication required", "401", "403")
_ABSENT: Final = ("not found", "manifest unknown", "does not exist", "404", "couldn't parse image name")
_WITHOUT_CAUSE: Final = re.compile(r'Back-off pulling image "[^"]*"')


def failure_reason(waiting: ConditionRecord | None) -> str:
    """Return the reason why the runner's container cannot start; "" while it is starting."""
    return _REASONS.get(waiting.reason, "") if waiting is not None else ""


def message(draft: Draft, pod: PodRecord, waiting: ConditionRecord, reason: str, before: str) -> str:
    """Return the kubelet's message and the remedy; ``before`` is the previous message for the same reason."""
    text = (waiting.message or waiting.reason)[:MAX_QUOTE].rstrip(". ")
    if reason == IMAGE_PULL_FAILED:
        # The kubelet reports the cause once, and then for minutes only its backoff.
        if before and _WITHOUT_CAUSE.fullmatch(text):
            return before
        return f"{text}; {_image_remedy(draft, waiting, text.lower())}"
    return f"{text}; {_configuration_remedy(draft, pod, text)}"


def _image_remedy(draft: Draft, waiting: ConditionRecord, text: str) -> str:
    runtime, namespace = draft.observed.job.present_runtime, draft.observed.job.namespace
    edit, again = (
        f"kubectl edit {RUNTIME_SHORT_NAME} {runtime}",
        f"kubectl -n {namespace} delete job {draft.child.name}",
    )
    if waiting.reason == "ErrImageNeverPull":
        return f"load the image on the node, or change spec.imagePullPolicy: {edit}; then {again}"
    if any(word in text for word in _DENIED):
        return (
            f"name a pull secret of namespace {namespace} in spec.imagePullSecrets: {edit}; then {again} "
            "(a new one: kubectl create secret docker-registry)"
        )
    if waiting.reason == "InvalidImageName" or any(word in text for word in _ABSENT):
        return f"correct spec.image: {edit}; then {again}"
    return f"the kubelet tries again; if the image is wrong: {edit}; then {again}"


def _configuration_remedy(draft: Draft, pod: PodRecord, text: str) -> str:
    namespace = draft.observed.job.namespace
    secret, key = _NO_SECRET.search(text), _NO_KEY.search(text)
    if secret is not None:
        fields, keys = _uses(draft.observed.job.spec(), draft.child.store_connections(), secret[1])
        literals = " ".join(f"--from-literal={name}=VALUE" for name in keys)
        place = f" ({fields})" if fields else ""
        return f"create it{place}: kubectl -n {namespace} create secret generic {secret[1]} {literals}"
    if key is not None:
        patch = json.dumps({"stringData": {key[1]: "VALUE"}}, separators=(",", ":"))
        return f"add the key: kubectl -n {namespace} patch secret {key[2]} --type=merge --patch='{patch}'"
    return f"see: kubectl -n {namespace} describe pod {pod.name}"


def keys_command(namespace: str, spec: dict[str, Any], stores: list[StoreConnection], field: str) -> str:
    """Return the command that replaces the keys for a field's location; "" if it names no Secret."""
    parts = _storages(spec)
    own = next((part for name, part in parts.items() if field.startswith(name.removesuffix(".storage"))), None)
    used = own or parts["spec.storage"] or {}
    of_store = (store.secret_name for store in stores if store.name == used.get("store"))
    secret = used.get("secretName") or next(of_store, None)
    if not secret:
        return ""
    data = {"stringData": {ACCESS_KEY_ID: "ID", SECRET_ACCESS_KEY: "KEY"}}
    patch = json.dumps(data, separators=(",", ":"))
    return f"kubectl -n {namespace} patch secret {secret} --type=merge --patch='{patch}'"


def _storages(spec: dict[str, Any]) -> dict[str, dict[str, Any] | None]:
    """Return the storage settings of a spec by field, the specific ones first."""
    data = spec.get("data") or {}
    return {
        "spec.model.storage": (spec.get("model") or {}).get("storage"),
        "spec.data.evaluation.storage": (data.get("evaluation") or {}).get("storage"),
        "spec.output.storage": (spec.get("output") or {}).get("storage"),
        "spec.storage": spec.get("storage"),
    }


def _uses(spec: dict[str, Any], stores: list[StoreConnection], secret: str) -> tuple[str, list[str]]:
    """Return the fields of a job and its stores that name a Secret, and the keys that the Secret needs."""
    own = [f"{field}.secretName" for field, part in _storages(spec).items() if (part or {}).get("secretName") == secret]
    own += [f"secretName of the CompressionStore {it.name}" for it in stores if it.secret_name == secret]
    hub = ["spec.hub.secretName"] if (spec.get("hub") or {}).get("secretName") == secret else []
    hub += [f"hub.secretName of the CompressionStore {it.name}" for it in stores if it.hub_secret_name == secret]
    keys = [ACCESS_KEY_ID, SECRET_ACCESS_KEY] if own or not hub else []
    return ", ".join([*own, *hub]), [*keys, *([HUB_TOKEN_KEY] if hub else [])]
