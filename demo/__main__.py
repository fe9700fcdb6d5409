"""`python -m demo`: a cluster, the chart, a job whose result is published, and one that is refused."""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from compressionjob.sla import write_figure
from demo.installation import (
    RELEASE,
    SYSTEM_NAMESPACE,
    install_chart,
    object_store,
    upload_samples,
    write_samples,
)
from demo.watching import follow
from localcluster import components, namespaces
from localcluster.components import admin_kubeconfig
from localcluster.kubectl import Kubectl
from localcluster.paths import REPOSITORY

NAMESPACE: Final = "compression-demo"
POLL: Final = 0.2
"""Seconds between two looks at the object store."""
OUT: Final = REPOSITORY / "out" / "demo"
console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run the demo; 0 when the first job passes and the second is refused, as they must."""
    start = time.monotonic()
    step("the cluster (a real Kubernetes and an S3 server; cold, its build takes minutes), MiniLM and real sentences")
    store = object_store()
    bring_up(store)
    step(f"helm install {RELEASE}")
    namespaces.prepare(NAMESPACE)
    install_chart()
    kubectl = Kubectl(admin_kubeconfig())
    passed = play(kubectl, store, "minilm-int8", "a job that must pass")
    refused = play(kubectl, store, "minilm-impossible", "a job whose limits cannot be kept")
    console.print(f"\n[bold]In the cluster[/] (export KUBECONFIG={admin_kubeconfig()}):")
    console.print(kubectl.run("--namespace", NAMESPACE, "get", "cpj"))
    console.print(f"The operator: kubectl -n {SYSTEM_NAMESPACE} get pods. `make clean` ends it all.")
    console.print(f"{time.monotonic() - start:.0f} s in all.")
    return 0 if (passed, refused) == ("Pass", "Fail") else 1


def bring_up(store: Any) -> None:
    """Start the cluster, and fill its object store while the rest of it is still being built.

    Raises CalledProcessError when the cluster does not start.
    """
    command = [sys.executable, "-m", "localcluster", "up"]
    with subprocess.Popen(command, cwd=REPOSITORY) as cluster, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        while cluster.poll() is None and not components.object_store_answers():
            time.sleep(POLL)
        if cluster.poll():
            raise subprocess.CalledProcessError(cluster.returncode, command)
        write_samples(folder)
        if cluster.poll() is None:
            # What answered may be the store of an earlier cluster, which `up` ends.
            with suppress(Boto3Error, BotoCoreError, ClientError):
                upload_samples(store, folder)
        if cluster.wait():
            raise subprocess.CalledProcessError(cluster.returncode, command)
        upload_samples(store, folder)


def step(text: str) -> None:
    """Say what comes next."""
    console.print(f"\n[bold cyan]==>[/] [bold]{text}[/]")


def play(kubectl: Kubectl, store: Any, name: str, title: str) -> str:
    """Apply one example, follow it to its end, show its verdict, and fetch its report; returns the verdict."""
    manifest = REPOSITORY / "examples" / f"{name}.yaml"
    step(f"kubectl apply -f examples/{name}.yaml: {title}")
    kubectl.run("--namespace", NAMESPACE, "delete", "cpj", name, "--ignore-not-found", "--wait")
    kubectl.run("--namespace", NAMESPACE, "apply", "--filename", str(manifest))
    job = follow(admin_kubeconfig(), NAMESPACE, name, console.print)
    status = job["status"]
    show(status)
    for condition in status["conditions"]:
        if condition["type"] in ("SLASatisfied", "AsPromised", "Failed") and condition["status"] != "Unknown":
            console.print(f"{condition['type']}={condition['status']} {condition['reason']}: {condition['message']}")
    report = fetch_reports(store, status.get("report", ""), name)
    files = store.list_objects_v2(Bucket="models", Prefix=f"{name}/").get("Contents", [])
    published = f"{len(files)} files, {sum(item['Size'] for item in files) / 1e6:.1f} MB" if files else "nothing"
    console.print(f"published at s3://models/{name}: {published}")
    console.print(f"report: {report}")
    return str(status.get("verdict"))


def show(status: dict[str, Any]) -> None:
    """The verdict table: limit by limit, with intervals."""
    table = Table(
        title=f"verdict: {status.get('verdict')} (confidence {status.get('confidence')})", title_justify="left"
    )
    for column in ("objective", "limit", "measured", "interval", "verdict"):
        table.add_column(column)
    for item in status.get("objectives", []):
        limit, measured, low, high = (_figure(item, key) for key in ("limit", "measured", "low", "high"))
        interval = "exact" if low == high else f"{low} to {high}"
        table.add_row(item["name"], f"{item['direction']} {limit}", measured, interval, item["verdict"])
    console.print(table)


def _figure(item: dict[str, Any], key: str) -> str:
    return write_figure(item[key], item["unit"]) if key in item else "-"


def fetch_reports(store: Any, location: str, name: str) -> Path:
    """Bring report.json and report.html from the object store; returns the page's path."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    prefix = key.rpartition("/")[0]
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("report.json", "report.html"):
        store.download_file(bucket, f"{prefix}/{file}", str(folder / file))
    json.loads((folder / "report.json").read_text())
    return folder / "report.html"


if __name__ == "__main__":
    sys.exit(main())
