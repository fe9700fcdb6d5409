"""The demo on the cluster of KUBECONFIG: it checks its context and settings before it installs anything."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from compressionjob.spec import CompressionJob
from demo import user_cluster
from demo.user_cluster import Context, DemoError, UserCluster, confirm, current_context
from localcluster.paths import REPOSITORY

CONTEXT = Context("prod", "https://prod.example.com:6443", "the kubeconfig")
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_ENDPOINT_URL": "https://store.example.com"}


def write(path: Path, *servers: str) -> str:
    """Write a kubeconfig whose current context is that of the first server; return its path."""
    names = [f"c{number}" for number in range(len(servers))]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": names[0],
        "clusters": [{"name": n, "cluster": {"server": s}} for n, s in zip(names, servers, strict=True)],
        "users": [{"name": n, "user": {"token": f"token-{n}"}} for n in names],
        "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in names],
    }
    path.write_text(yaml.safe_dump(config))
    return str(path)


@pytest.fixture(autouse=True)
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the local cluster's kubeconfig."""
    path = tmp_path / "local"
    monkeypatch.setattr(user_cluster, "admin_kubeconfig", lambda: path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return path


def environment(monkeypatch: pytest.MonkeyPatch, value: str) -> dict[str, str]:
    monkeypatch.setenv("KUBECONFIG", value)
    return {"KUBECONFIG": value}


def test_without_kubeconfig_the_local_cluster_is_used() -> None:
    assert current_context({}) is None
    assert current_context({"KUBECONFIG": ""}) is None


def test_the_local_cluster_is_recognized_by_its_path_and_by_its_server(
    local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert current_context({"KUBECONFIG": str(local)}) is None
    local.write_text(json.dumps(yaml.safe_load(Path(write(local, "https://127.0.0.1:6443")).read_text()), indent=2))
    copy = write(tmp_path / "copy", "https://127.0.0.1:6443")
    assert current_context(environment(monkeypatch, copy)) is None


def test_only_the_current_context_of_several_kubeconfigs_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write(tmp_path / "a", "https://one:6443", "https://two:6443"), write(tmp_path / "b", "https://three:6443")
    context = current_context(environment(monkeypatch, ":".join(files)))
    assert context is not None
    assert (context.name, context.server) == ("c0", "https://one:6443")
    assert "token-c0" in context.kubeconfig
    assert "token-c1" not in context.kubeconfig


def test_a_kubeconfig_without_a_context_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").write_text("")
    with pytest.raises(DemoError, match=r"no usable current context.*kubectl config use-context"):
        current_context(environment(monkeypatch, str(tmp_path / "empty")))


@pytest.mark.parametrize(("yes", "variables"), [(True, {}), (False, {"CI": "true"})])
def test_yes_and_ci_skip_the_question_and_show_the_context(
    yes: bool, variables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    confirm(CONTEXT, yes=yes, environment=variables, ask=refuse("asked"))
    shown = capsys.readouterr().out
    assert CONTEXT.name in shown
    assert CONTEXT.server in shown


def refuse(reason: str) -> Callable[[str], str]:
    def ask(_question: str) -> str:
        raise AssertionError(reason)

    return ask


def closed(_question: str) -> str:
    raise EOFError


@pytest.mark.parametrize("ask", [lambda _question: "", lambda _question: "no", closed])
def test_any_other_answer_installs_nothing(ask: Callable[[str], str]) -> None:
    with pytest.raises(DemoError, match=r"Nothing was installed.*YES=1"):
        confirm(CONTEXT, yes=False, environment={}, ask=ask)
    confirm(CONTEXT, yes=False, environment={}, ask=lambda _question: " Y ")


def test_all_missing_settings_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(DemoError) as refused:
        UserCluster(CONTEXT, tmp_path, None, "", {})
    for name in ("VALUES=", "BUCKET=", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "KUBECONFIG"):
        assert name in str(refused.value)
    with pytest.raises(DemoError, match=r"no file .*/absent"):
        UserCluster(CONTEXT, tmp_path, tmp_path / "absent", "b", KEYS)


@pytest.fixture
def cluster(tmp_path: Path) -> Callable[[dict[str, str]], UserCluster]:
    values = tmp_path / "values.yaml"
    values.write_text("{}")
    return lambda environment: UserCluster(CONTEXT, tmp_path, values, "mine", environment)


def spec(text: str) -> dict[str, Any]:
    manifest = yaml.safe_load(text)
    CompressionJob.model_validate(manifest)
    checked: dict[str, Any] = manifest["spec"]
    return checked


@pytest.mark.parametrize("name", ["minilm-int8", "minilm-impossible"])
def test_examples_use_the_bucket_and_endpoint(cluster: Callable[[dict[str, str]], UserCluster], name: str) -> None:
    text = (REPOSITORY / "examples" / f"{name}.yaml").read_text()
    here = spec(cluster(KEYS).manifest(text))
    assert here["model"]["source"] == "s3://mine/compression-demo/models/minilm"
    assert here["data"]["evaluation"]["source"] == "s3://mine/compression-demo/data/sentences.parquet"
    assert here["output"]["destination"] == f"s3://mine/compression-demo/models/{name}"
    assert here["storage"] == {"secretName": "s3", "endpoint": "https://store.example.com"}
    at_aws = {key: value for key, value in KEYS.items() if key != "AWS_ENDPOINT_URL"}
    assert spec(cluster(at_aws).manifest(text))["storage"] == {"secretName": "s3"}


def test_the_kubeconfig_is_readable_by_its_owner_only(cluster: Callable[[dict[str, str]], UserCluster]) -> None:
    created = cluster(KEYS)
    assert created.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert created.kubeconfig.read_text() == CONTEXT.kubeconfig
