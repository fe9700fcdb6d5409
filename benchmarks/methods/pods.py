"""`python -m benchmarks.methods.pods NAME ...`: run local examples on the local cluster, and write pods.json.

Models and data are uploaded to the cluster's object store; the manifests are the examples', with s3:// for file://.
"""

import argparse
import copy
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.methods.cases import DATA, Case, prepared
from benchmarks.methods.running import figures
from benchmarks.methods.staleness import made_with, methods_of
from compression_runner.evaluation.machine.description import machine
from demo.installation import ensure_bucket, install_chart, object_store, upload
from demo.watch import follow
from localcluster import s3
from localcluster.components import admin_kubeconfig, s3_endpoint
from localcluster.kubectl import Kubectl
from localcluster.paths import REPOSITORY

NAMESPACE: Final = "compression-examples"
BUCKET: Final = "examples"
RUNTIME: Final = "large"
RESULTS: Final = Path(__file__).with_name("pods.json")
LOCAL: Final = "file://./data/"


def main() -> int:
    """Run the named examples in sequence; return 1 if one ended without a verdict."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.methods.pods", description=__doc__)
    parser.add_argument("names", nargs="+", help="examples of examples/local")
    names = parser.parse_args().names
    for command in (["up"], ["namespace", NAMESPACE]):
        subprocess.run([sys.executable, "-m", "localcluster", *command], check=True, cwd=REPOSITORY)
    install_chart()
    kubectl, store = Kubectl(admin_kubeconfig()), object_store()
    ensure_bucket(store, BUCKET)
    kubectl.apply(_runtime(kubectl))
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    broken = False
    for name in names:
        case = prepared(Case.named(name))
        for folder in case.samples:
            upload(store, DATA / folder, BUCKET, folder)
        entry = _run(kubectl, store, case)
        broken |= entry is None
        if entry:
            results[name] = entry
            RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")
    return 1 if broken else 0


def _run(kubectl: Kubectl, store: Any, case: Case) -> dict[str, Any] | None:
    kubectl.run("--namespace", NAMESPACE, "delete", "cpj", case.name, "--ignore-not-found", "--wait")
    job = manifest(case.manifest)
    job["metadata"]["namespace"] = NAMESPACE
    kubectl.apply(job)
    ended = follow(admin_kubeconfig(), NAMESPACE, case.name, lambda line: print(line, flush=True), seconds=7200)  # noqa: T201
    status = ended["status"]
    if "verdict" not in status:
        sys.stderr.write(f"{case.name}: {status.get('message') or status['conditions']}\n")
        return None
    bucket, _, key = status["report"].removeprefix("s3://").partition("/")
    report = json.loads(store.get_object(Bucket=bucket, Key=key)["Body"].read())
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine().to_json(),
        **figures(report, 0),
        "startTime": status["startTime"],
        "completionTime": status["completionTime"],
        # The libraries are those of the pod: its report names their versions.
        "madeWith": made_with(methods_of(report), [case], report["provenance"]["versions"].get),
    }


def manifest(local: dict[str, Any]) -> dict[str, Any]:
    """Convert the example to a job of the cluster, with objects instead of files."""
    text = json.dumps(local).replace(LOCAL, f"s3://{BUCKET}/")
    job: dict[str, Any] = json.loads(text)
    spec = job["spec"]
    spec["storage"] = {"secretName": "s3", "endpoint": s3_endpoint(), "region": s3.REGION}
    spec["runtime"] = RUNTIME
    spec["output"] |= {"destination": f"s3://{BUCKET}/results/{job['metadata']['name']}", "overwrite": True}
    return job


def _runtime(kubectl: Kubectl) -> dict[str, Any]:
    """Return the chart's runtime for CPUs, with memory for a language model."""
    runtime = kubectl.read("get", "compressionruntime", "cpu")
    spec = copy.deepcopy(runtime["spec"])
    spec["resources"]["limits"]["memory"] = "12Gi"
    return {"apiVersion": runtime["apiVersion"], "kind": runtime["kind"], "metadata": {"name": RUNTIME}, "spec": spec}


if __name__ == "__main__":
    sys.exit(main())
