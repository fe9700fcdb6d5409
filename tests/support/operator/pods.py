"""The files and the environment of a container of a child Job, as the kubelet prepares them."""

import re
from collections.abc import Mapping
from typing import Any

from compressionjob.pod_input import decode, digest_of


def variables_of(child: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of the container: plain values, or where they come from."""
    (container,) = child["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def files_of(child: Mapping[str, Any]) -> dict[str, str]:
    """The files of the container that show annotations of its pod, by their paths."""
    template = child["spec"]["template"]
    (container,) = template["spec"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    files = {}
    for volume in template["spec"]["volumes"]:
        for item in volume.get("downwardAPI", {}).get("items", ()):
            reference = re.fullmatch(r"metadata\.annotations\['(.+)'\]", item["fieldRef"]["fieldPath"])
            assert reference is not None
            files[f"{mounts[volume['name']]}/{item['path']}"] = template["metadata"]["annotations"][reference[1]]
    return files


def input_of(child: Mapping[str, Any]) -> dict[str, Any]:
    """The documents that the pod gets, read where its environment says."""
    variables = variables_of(child)
    text = files_of(child)[variables["COMPRESSION_INPUT"]]
    assert variables["COMPRESSION_INPUT_DIGEST"] == digest_of(text)
    return decode(text)
