"""A real Alertmanager on loopback, and the alerts that its receiver got."""

import json
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from localcluster import debian, ports
from localcluster.servers import servers
from tests.support.webhook_receiver import WebhookReceiver


def alerts_of(receiver: WebhookReceiver) -> dict[str, dict[str, Any]]:
    """Return the last notification of each alert that a receiver got, by name."""
    posts = [json.loads(item.body) for item in receiver.taken()]
    return {alert["labels"]["alertname"]: alert for post in posts for alert in post["alerts"]}


@contextmanager
def start(receiver: WebhookReceiver) -> Iterator[str]:
    """Start an Alertmanager that notifies the receiver immediately; yield its address. It ends with the block."""
    debian.ensure(debian.PROMETHEUS)
    route = {"receiver": "test", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s"}
    hook = {"url": receiver.url, "send_resolved": True}
    with servers("alertmanager") as group:
        address = f"127.0.0.1:{ports.free()}"
        config = group.folder / "alertmanager.yaml"
        config.write_text(json.dumps({"route": route, "receivers": [{"name": "test", "webhook_configs": [hook]}]}))
        command = [
            shutil.which("prometheus-alertmanager") or "prometheus-alertmanager",
            f"--config.file={config}",
            f"--storage.path={group.folder / 'data'}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        group.start("alertmanager", command)
        group.wait("alertmanager", lambda: _is_ready(f"http://{address}/-/ready"))
        yield address


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
