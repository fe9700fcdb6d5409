"""`python -m demo`: a cluster, the chart, a job whose result is published, and one that is refused."""

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

from compressionjob.sla import ObjectiveResult
from demo.given import DemoError, GivenCluster, confirm, named
from demo.installation import RELEASE, SYSTEM_NAMESPACE
from demo.places import NAMESPACE, LocalCluster, Place
from demo.watching import follow
from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from localcluster.paths import REPOSITORY

OUT: Final = REPOSITORY / "out" / "demo"
console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run the demo; 0 when the first job passes and the second is refused, as they must."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--yes", action="store_true", help="install into the cluster of KUBECONFIG without asking")
    parser.add_argument("--values", type=Path, help="with KUBECONFIG: values of the chart, which name the images")
    parser.add_argument("--bucket", default="", help="with KUBECONFIG: a bucket for model, data and results")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            return run(_place(options, Path(folder)))
    except (DemoError, LocalClusterError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _place(options: argparse.Namespace, folder: Path) -> Place:
    context = named(os.environ)
    if context is None:
        return LocalCluster()
    place = GivenCluster(context, folder, options.values, options.bucket, os.environ)
    confirm(context, yes=options.yes, environment=os.environ)
    return place


def run(place: Place) -> int:
    """Play in one cluster; returns the exit status."""
    start = time.monotonic()
    step(place.intro)
    place.bring_up()
    step(f"helm install {RELEASE}")
    place.install()
    passed = play(place, "minilm-int8", "a job that must pass")
    refused = play(place, "minilm-impossible", "a job whose limits cannot be kept")
    local = isinstance(place, LocalCluster)
    console.print(f"\n[bold]In the cluster[/]{f' (export KUBECONFIG={place.kubeconfig})' if local else ''}:")
    console.print(Kubectl(place.kubeconfig).run("--namespace", NAMESPACE, "get", "cpj"))
    ends = "`make clean` ends it all" if local else f"`helm uninstall {RELEASE} -n {SYSTEM_NAMESPACE}` ends it"
    console.print(f"The operator: kubectl -n {SYSTEM_NAMESPACE} get pods. {ends}.")
    console.print(f"{time.monotonic() - start:.0f} s in all.")
    return 0 if (passed, refused) == ("Pass", "Fail") else 1


def step(text: str) -> None:
    """Say what comes next."""
    console.print(f"\n[bold cyan]==>[/] [bold]{text}[/]")


def play(place: Place, name: str, title: str) -> str:
    """Apply one example, follow it to its end, show its verdict, and fetch its report; returns the verdict."""
    manifest = place.manifest((REPOSITORY / "examples" / f"{name}.yaml").read_text())
    kubectl, store = Kubectl(place.kubeconfig), place.store
    step(f"kubectl apply -f examples/{name}.yaml: {title}")
    kubectl.run("--namespace", NAMESPACE, "delete", "cpj", name, "--ignore-not-found", "--wait")
    kubectl.run("--namespace", NAMESPACE, "apply", "--filename=-", stdin=manifest)
    job = follow(place.kubeconfig, NAMESPACE, name, console.print)
    status = job["status"]
    show(status)
    for condition in status["conditions"]:
        if condition["type"] in ("SLASatisfied", "AsPromised", "Failed") and condition["status"] != "Unknown":
            console.print(f"{condition['type']}={condition['status']} {condition['reason']}: {condition['message']}")
    location = status.get("report", "")
    report = fetch_reports(store, location, name) if location else "none: the job ended before it was measured"
    destination = f"{place.prefix}{name}"
    files = store.list_objects_v2(Bucket=place.bucket, Prefix=f"{destination}/").get("Contents", [])
    published = f"{len(files)} files, {sum(item['Size'] for item in files) / 1e6:.1f} MB" if files else "nothing"
    console.print(f"published at s3://{place.bucket}/{destination}: {published}")
    console.print(f"report: {report}")
    return str(status.get("verdict"))


def show(status: dict[str, Any]) -> None:
    """The verdict table: limit by limit, with intervals; nothing where the job failed before there was a verdict."""
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
