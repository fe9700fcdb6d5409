"""`python -m demo`: start a cluster, install the chart, and run a job that passes and one that fails its limits."""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from compressionjob.verdict import ObjectiveResult
from demo.cluster import NAMESPACE, DemoCluster, LocalCluster
from demo.installation import RELEASE, SYSTEM_NAMESPACE
from demo.user_cluster import DemoError, UserCluster, confirm, current_context
from demo.watch import follow
from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from localcluster.paths import REPOSITORY

OUT: Final = REPOSITORY / "out" / "demo"
console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run the demo; return 0 if the first job passes and the second fails, as expected."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--yes", action="store_true", help="install into the cluster of KUBECONFIG without asking")
    parser.add_argument("--values", type=Path, help="with KUBECONFIG: values of the chart, which name the images")
    parser.add_argument("--bucket", default="", help="with KUBECONFIG: a bucket for model, data and results")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            return run(_cluster(options, Path(folder)))
    except (DemoError, LocalClusterError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _cluster(options: argparse.Namespace, folder: Path) -> DemoCluster:
    context = current_context(os.environ)
    if context is None:
        return LocalCluster()
    cluster = UserCluster(context, folder, options.values, options.bucket, os.environ)
    confirm(context, yes=options.yes, environment=os.environ)
    return cluster


def run(cluster: DemoCluster) -> int:
    """Run the demo in a cluster; return the exit status."""
    start = time.monotonic()
    step(cluster.intro)
    cluster.bring_up()
    step(f"helm install {RELEASE}")
    cluster.install()
    passed = run_example(cluster, "minilm-int8", "a job that must pass")
    refused = run_example(cluster, "minilm-impossible", "a job whose limits cannot be kept")
    local = isinstance(cluster, LocalCluster)
    console.print(f"\n[bold]In the cluster[/]{f' (export KUBECONFIG={cluster.kubeconfig})' if local else ''}:")
    console.print(Kubectl(cluster.kubeconfig).run("--namespace", NAMESPACE, "get", "cpj"))
    ends = "`make clean` ends it all" if local else f"`helm uninstall {RELEASE} -n {SYSTEM_NAMESPACE}` ends it"
    console.print(f"The operator: kubectl -n {SYSTEM_NAMESPACE} get pods. {ends}.")
    console.print(f"{time.monotonic() - start:.0f} s in all.")
    return 0 if (passed, refused) == ("Pass", "Fail") else 1


def step(text: str) -> None:
    """Print a heading."""
    console.print(f"\n[bold cyan]==>[/] [bold]{text}[/]")


def run_example(cluster: DemoCluster, name: str, title: str) -> str:
    """Apply an example, follow it to its end, show its verdict, and fetch its report; return the verdict."""
    manifest = cluster.manifest((REPOSITORY / "examples" / f"{name}.yaml").read_text())
    kubectl, store = Kubectl(cluster.kubeconfig), cluster.store
    step(f"kubectl apply -f examples/{name}.yaml: {title}")
    kubectl.run("--namespace", NAMESPACE, "delete", "cpj", name, "--ignore-not-found", "--wait")
    kubectl.run("--namespace", NAMESPACE, "apply", "--filename=-", stdin=manifest)
    job = follow(cluster.kubeconfig, NAMESPACE, name, console.print)
    status = job["status"]
    show(status)
    for condition in status["conditions"]:
        if condition["type"] in ("SLASatisfied", "AsPromised", "Failed") and condition["status"] != "Unknown":
            console.print(f"{condition['type']}={condition['status']} {condition['reason']}: {condition['message']}")
    location = status.get("report", "")
    report = fetch_reports(store, location, name) if location else "none: the job ended before it was measured"
    destination = f"{cluster.prefix}{name}"
    files = store.list_objects_v2(Bucket=cluster.bucket, Prefix=f"{destination}/").get("Contents", [])
    published = f"{len(files)} files, {sum(item['Size'] for item in files) / 1e6:.1f} MB" if files else "nothing"
    console.print(f"published at s3://{cluster.bucket}/{destination}: {published}")
    console.print(f"report: {report}")
    return str(status.get("verdict"))


def show(status: dict[str, Any]) -> None:
    """Print the verdict table, with an interval for each limit; print nothing if the job has no verdict."""
    if "verdict" not in status:
        return
    table = Table(
        title=f"verdict: {status.get('verdict')} (confidence {status.get('confidence')})", title_justify="left"
    )
    for column in ("objective", "limit", "measured", "interval", "verdict"):
        table.add_column(column)
    for item in map(ObjectiveResult.model_validate, status.get("objectives", [])):
        table.add_row(
            item.name,
            f"{item.direction} {item.write(item.limit)}",
            "-" if item.measured is None else item.write(item.measured),
            _interval(item),
            item.verdict,
        )
    console.print(table)


def _interval(item: ObjectiveResult) -> str:
    if item.low is None or item.high is None:
        return "-"
    return "exact" if item.low == item.high else f"{item.write(item.low)} to {item.write(item.high)}"


def fetch_reports(store: Any, location: str, name: str) -> Path:
    """Download report.json and report.html from the object store; return the path of report.html."""
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
