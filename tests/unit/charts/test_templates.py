"""The rendered chart, without a cluster."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.generate import CHART
from compression_operator.notifications.receivers import read_receivers
from compression_operator.process.options import parse
from compressionjob import group
from compressionjob.crd import definitions
from compressionjob.runtime import parse_runtime
from localcluster import tools
from localcluster.command import run
from localcluster.errors import LocalClusterError
from tests.support.chart import kind, operator, render


def test_lint_finds_nothing() -> None:
    options = ["serviceMonitor", "podMonitor", "prometheusRule", "dashboard", "networkPolicy", "podDisruptionBudget"]
    everything = ",".join(f"{option}.enabled=true" for option in options)
    run([tools.helm(), "lint", "--strict", CHART])
    run([tools.helm(), "lint", "--strict", CHART, "--set", everything])


def test_the_crds_are_those_of_the_contract_and_are_kept() -> None:
    rendered = kind("CustomResourceDefinition")
    for crd in rendered:
        metadata = crd["metadata"]
        assert metadata.pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert metadata.pop("labels")["app.kubernetes.io/instance"] == "demo"
    expected = sorted(definitions().values(), key=lambda crd: str(crd["metadata"]["name"]))
    assert sorted(rendered, key=lambda crd: str(crd["metadata"]["name"])) == expected
    assert kind("CustomResourceDefinition", "--set=crds.install=false") == []


def test_the_runtimes_are_valid_and_are_kept() -> None:
    runtimes = {item["metadata"]["name"]: item for item in kind("CompressionRuntime")}
    assert set(runtimes) == {"cpu", "nvidia-gpu"}
    for runtime in runtimes.values():
        assert runtime["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        parse_runtime(runtime)
    assert parse_runtime(runtimes["nvidia-gpu"]).spec.resources.limits["nvidia.com/gpu"] == "1"


def test_a_runtime_is_a_hook_only_until_the_api_is_served() -> None:
    first = kind("CompressionRuntime")[0]["metadata"]["annotations"]
    assert first["helm.sh/hook"] == "post-install,post-upgrade"
    assert (first["meta.helm.sh/release-name"], first["meta.helm.sh/release-namespace"]) == ("demo", "system")
    later = kind("CompressionRuntime", f"--api-versions={group.API_VERSION}/{group.RUNTIME_KIND}")
    assert [list(item["metadata"]["annotations"]) for item in later] == [["helm.sh/resource-policy"]] * 2


def test_the_operator_understands_its_arguments() -> None:
    words = operator("--set=watchNamespaces={team-a,team-b}")["args"]
    command = operator()["command"]
    options = parse([*command[1:], *(word.replace("$(POD_NAMESPACE)", "system") for word in words)], {})
    assert options.namespaces == ("team-a", "team-b")
    assert (options.lease_namespace, options.lease_name) == ("system", "demo-compression-operator")
    assert options.port == operator()["ports"][0]["containerPort"]


def test_the_lease_of_the_role_is_the_lease_of_the_operator() -> None:
    (role,) = kind("Role")
    (rule,) = [rule for rule in role["rules"] if "resourceNames" in rule]
    assert f"--lease-name={rule['resourceNames'][0]}" in operator()["args"]


@pytest.mark.parametrize("option", ["--set=watchNamespaces={team-a}", "--set=watchNamespaces=null"])
def test_no_role_of_the_operator_has_secrets_or_wildcards(option: str) -> None:
    for role in (*kind("ClusterRole", option), *kind("Role", option)):
        for rule in role["rules"]:
            assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])
            assert "secrets" not in rule["resources"]


def policies(*arguments: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"].rpartition(".")[2]: item for item in kind("ValidatingAdmissionPolicy", *arguments)}


def test_the_operator_knows_whether_its_children_are_protected() -> None:
    def protected(*arguments: str) -> bool:
        variables = {item["name"]: item.get("value") for item in operator(*arguments)["env"]}
        return parse(["run"], {key: value for key, value in variables.items() if value}).children_protected

    assert protected()
    every = {"reviewer", "author", "operator", "child-jobs", "child-pods", "queue", "limits", "stores"}
    assert set(policies()) == every
    assert not protected("--set=admission.protectChildren=false")
    assert set(policies("--set=admission.protectChildren=false")) == every - {"child-jobs", "child-pods"}
    switched = {"fixQueue": "queue", "warnWithoutLimits": "limits", "stores": "stores", "limitOperator": "operator"}
    for value, name in switched.items():
        assert set(policies(f"--set=admission.{value}=false")) == every - {name}


def test_the_operator_knows_the_reviews_of_the_values_and_that_names_are_verified() -> None:
    rules = ("--set=reviews[0].namespaces={prod}", "--set=reviews[0].separation=true")
    variables = {item["name"]: item.get("value") for item in operator(*rules)["env"]}
    required = parse(["run"], {key: value for key, value in variables.items() if value}).requirements
    (rule,) = required.review_rules
    assert (rule.namespaces, rule.separation, required.identities_verified) == (["prod"], True, True)
    assert "COMPRESSION_OPERATOR_REVIEW_RULES" not in {item["name"] for item in operator()["env"]}


def test_it_reads_namespaces_only_where_it_serves_all_of_them() -> None:
    def reads(*arguments: str) -> bool:
        roles = [*kind("ClusterRole", *arguments), *kind("Role", *arguments)]
        return any("namespaces" in rule["resources"] for role in roles for rule in role["rules"])

    assert reads()
    assert not reads("--set=watchNamespaces={team-a}")


def test_every_policy_denies_except_the_limits_policy_which_warns() -> None:
    bindings = {item["spec"]["policyName"]: item["spec"] for item in kind("ValidatingAdmissionPolicyBinding")}
    assert bindings.keys() == {item["metadata"]["name"] for item in policies().values()}
    for name, spec in bindings.items():
        assert spec["validationActions"] == (["Warn"] if name.endswith(".limits") else ["Deny"])
    assert {item["spec"]["failurePolicy"] for item in policies().values()} == {"Fail"}


def test_a_release_for_some_namespaces_does_not_affect_others() -> None:
    """The operator of another release creates the child Jobs there."""
    wanted = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["team-a", "team-b"]}
    limited = policies("--set=watchNamespaces={team-a,team-b}")
    for name in ("child-jobs", "child-pods", "queue", "author"):
        assert limited[name]["spec"]["matchConstraints"]["namespaceSelector"] == {"matchExpressions": [wanted]}
    assert "namespaceSelector" not in policies()["child-jobs"]["spec"]["matchConstraints"]


def test_the_service_account_of_the_values_may_create_child_jobs() -> None:
    account = ("--set=serviceAccount.create=false", "--set=serviceAccount.name=theirs")
    (first, *_) = policies(*account)["child-jobs"]["spec"]["validations"]
    assert first["expression"].endswith("request.userInfo.username == 'system:serviceaccount:system:theirs'")


@pytest.mark.parametrize("option", ["--set=watchNamespaces={team-a}", "--set=watchNamespaces=null"])
def test_workloads_of_kueue_are_in_the_operators_rules_unless_switched_off(option: str) -> None:
    def rules(*more: str) -> list[dict[str, Any]]:
        roles = [*kind("ClusterRole", option, *more), *kind("Role", option, *more)]
        return [rule for role in roles for rule in role["rules"] if "kueue.x-k8s.io" in rule["apiGroups"]]

    assert rules() == [{"apiGroups": ["kueue.x-k8s.io"], "resources": ["workloads"], "verbs": ["get", "list", "patch"]}]
    assert rules("--set=kueue.enabled=false") == []


def test_a_digest_wins_over_the_tag() -> None:
    digest = f"sha256:{'a' * 64}"
    assert operator("--set=image.tag=v1", f"--set=image.digest={digest}")["image"] == f"compression-operator@{digest}"
    assert operator("--set=image.tag=v1")["image"] == "compression-operator:v1"


def test_a_runtimes_image_is_the_runners_unless_it_names_one() -> None:
    runtimes = kind("CompressionRuntime", "--set=runner.image.repository=r,runner.image.tag=v2,runtimes.own.image=x:3")
    images = {item["metadata"]["name"]: item["spec"]["image"] for item in runtimes}
    assert images == {"cpu": "r:v2", "nvidia-gpu": "r:v2-cuda", "own": "x:3"}


def test_a_digest_of_the_runner_wins_over_its_tag() -> None:
    digest, cuda = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"

    def images(*options: str) -> dict[str, str]:
        runtimes = kind("CompressionRuntime", "--set=runner.image.repository=r,runner.image.tag=v2", *options)
        return {item["metadata"]["name"]: item["spec"]["image"] for item in runtimes}

    assert images(f"--set=runner.image.digest={digest}") == {"cpu": f"r@{digest}", "nvidia-gpu": "r:v2-cuda"}
    both = images(f"--set=runner.image.digest={digest}", f"--set=runner.image.cudaDigest={cuda}")
    assert both == {"cpu": f"r@{digest}", "nvidia-gpu": f"r@{cuda}"}


def test_the_rule_and_the_dashboards_are_those_of_the_repository() -> None:
    dashboards = CHART.parent.parent / "dashboards"
    (rule,) = kind("PrometheusRule", "--set=prometheusRule.enabled=true")
    assert rule["spec"] == yaml.safe_load((dashboards / "rules.yaml").read_text())
    (board,) = kind("ConfigMap", "--set=dashboard.enabled=true")
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert board["data"] == {file.name: file.read_text() for file in dashboards.glob("*.json")}
    assert set(board["data"]) == {"compression-fleet.json", "compression-job.json", "compression-operator.json"}


def test_the_runbooks_of_the_rule_may_lie_elsewhere() -> None:
    base = "https://wiki.example.com/runbooks/"
    (rule,) = kind("PrometheusRule", "--set=prometheusRule.enabled=true", f"--set=prometheusRule.runbookBase={base}")
    alerts = [alert for entry in rule["spec"]["groups"] for alert in entry["rules"]]
    assert [alert["annotations"]["runbook_url"] for alert in alerts] == [f"{base}{a['alert']}.md" for a in alerts]


def test_the_monitors_keep_the_labels_of_the_job() -> None:
    (service,) = kind("ServiceMonitor", "--set=serviceMonitor.enabled=true")
    assert service["spec"]["endpoints"][0]["honorLabels"] is True
    (pods,) = kind("PodMonitor", "--set=podMonitor.enabled=true")
    assert pods["spec"]["jobLabel"] == group.JOB_LABEL
    assert pods["spec"]["selector"]["matchLabels"] == {group.MANAGED_BY_LABEL: group.MANAGED_BY}


def test_the_notes_show_the_next_commands(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("watchNamespaces: [team-a]\nreplicas: 2\n")
    options = ("--namespace=system", "--dry-run=client", f"--values={values}")
    notes = run([tools.helm(), "install", "demo", CHART, *options]).partition("NOTES:")[2]
    assert "helm test demo --namespace system --logs" in notes
    assert "kubectl --namespace team-a get cpj --watch" in notes
    assert "podDisruptionBudget.enabled=true" in notes


RECEIVERS = (
    "--set=notifications.source=https://cluster-a",
    "--set=notifications.receivers.ops.url=https://hooks.example.com/a?b=c",
    "--set=notifications.receivers.ops.events={Completed,Failed}",
    "--set=notifications.receivers.ops.timeout=5s",
    "--set=notifications.receivers.ops.signingKey.secretName=ops-webhook",
    "--set=notifications.receivers.chat.url=http://chat.internal:8065",
    "--set=notifications.receivers.former=null",
)


def test_the_operator_reads_the_receivers_and_their_keys(tmp_path: Path) -> None:
    (config,) = kind("ConfigMap", *RECEIVERS)
    file = tmp_path / "receivers.yaml"
    file.write_text(config["data"]["receivers.yaml"])
    settings = read_receivers(file)
    assert settings.source == "https://cluster-a"
    assert set(settings.receivers) == {"ops", "chat"}
    assert settings.receivers["ops"].events == {"Completed", "Failed"}
    assert settings.receivers["chat"].key_file is None
    (deployment,) = kind("Deployment", *RECEIVERS)
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    options = parse([*container["command"][1:], *container["args"]], {})
    (mount,) = [item for item in container["volumeMounts"] if item["name"] == "notifications"]
    assert str(options.notifications) == f"{mount['mountPath']}/receivers.yaml"
    (volume,) = [item for item in pod["volumes"] if item["name"] == "notifications"]
    names, secret = volume["projected"]["sources"]
    assert names == {"configMap": {"name": config["metadata"]["name"]}}
    assert (secret["secret"]["name"], secret["secret"]["items"][0]["key"]) == ("ops-webhook", "key")
    assert str(settings.receivers["ops"].key_file) == f"{mount['mountPath']}/{secret['secret']['items'][0]['path']}"


def test_without_receivers_there_is_nothing_to_read() -> None:
    assert kind("ConfigMap") == []
    assert not [word for word in operator()["args"] if "notifications" in word]


def test_changed_receivers_restart_the_operator() -> None:
    def checksum(*arguments: str) -> str:
        (deployment,) = kind("Deployment", *arguments)
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/notifications"])

    assert checksum(*RECEIVERS) == checksum(*RECEIVERS)
    assert checksum(*RECEIVERS) != checksum(*RECEIVERS, "--set=notifications.receivers.chat.timeout=1s")


def test_the_network_policy_lets_the_operator_reach_receivers_on_their_ports() -> None:
    (policy,) = kind("NetworkPolicy", "--set=networkPolicy.enabled=true", *RECEIVERS)
    rule = policy["spec"]["egress"][-1]
    assert {item["port"] for item in rule["ports"]} == {443, 8065}
    assert "to" not in rule
    where = '--set-json=networkPolicy.receiversAt=[{"ipBlock":{"cidr":"10.0.0.0/8"}}]'
    (policy,) = kind("NetworkPolicy", "--set=networkPolicy.enabled=true", where, *RECEIVERS)
    assert policy["spec"]["egress"][-1]["to"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
    (policy,) = kind("NetworkPolicy", "--set=networkPolicy.enabled=true")
    assert len(policy["spec"]["egress"]) == 3


NONSENSE = [
    ("replicas=-1", "/replicas", "minimum"),
    ("replicas=two", "/replicas", "got string, want integer"),
    ("replica=2", "", "additional properties 'replica' not allowed"),
    ("unknown.value=1", "", "additional properties 'unknown' not allowed"),
    ("image.pullPolicy=Sometimes", "/image/pullPolicy", "value must be one of"),
    ("image.repository=", "/image/repository", "minLength"),
    ("image.tag=1", "/image/tag", "got number, want string"),
    ("image.digest=sha256:abc", "/image/digest", "does not match pattern"),
    ("image.name=x", "/image", "additional properties 'name' not allowed"),
    ("watchNamespaces={Team_A}", "/watchNamespaces/0", "does not match pattern"),
    ("watchNamespaces={a,a}", "/watchNamespaces", "items at 0 and 1 are equal"),
    ("watchNamespaces=team-a", "/watchNamespaces", "got string, want array"),
    ("command=run", "/command", "got string, want array"),
    ("admission.protectChildren=yes", "/admission/protectChildren", "got string, want boolean"),
    ("admission.jobControllers={a,a}", "/admission/jobControllers", "items at 0 and 1 are equal"),
    ("crds.install=maybe", "/crds/install", "got string, want boolean"),
    ("crds.keep=false", "/crds", "additional properties 'keep' not allowed"),
    ("runtimes.CPU.image=x", "", "invalid propertyName 'CPU'"),
    ("runtimes.cpu.image=", "/runtimes/cpu/image", "minLength"),
    ("runtimes.cpu.cpus=4", "/runtimes/cpu", "additional properties 'cpus' not allowed"),
    ("runtimes.cpu.imagePullPolicy=Sometimes", "/runtimes/cpu/imagePullPolicy", "value must be one of"),
    ("runtimes.cpu.env[0].name=1A", "/runtimes/cpu/env/0/name", "does not match pattern"),
    ("runtimes.cpu.env[0].valueFrom.x=s", "/runtimes/cpu/env/0", "additional properties 'valueFrom' not allowed"),
    (
        "runtimes.cpu.volumes[0].hostPath.path=/",
        "/runtimes/cpu/volumes/0",
        "additional properties 'hostPath' not allowed",
    ),
    ("runtimes.cpu.resources.limits.memory=lots", "/runtimes/cpu/resources/limits/memory", "does not match pattern"),
    ("service.port=0", "/service/port", "minimum"),
    ("serviceMonitor.enabled=1", "/serviceMonitor/enabled", "got number, want boolean"),
    ("serviceMonitor.interval=often", "/serviceMonitor/interval", "does not match pattern"),
    ("networkPolicy.apiServerPorts[0]=0", "/networkPolicy/apiServerPorts/0", "minimum"),
    ("networkPolicy.runnerEgress.mode=Closed", "/networkPolicy/runnerEgress/mode", "value must be one of"),
    ("networkPolicy.runnerEgress.ports={0}", "/networkPolicy/runnerEgress/ports/0", "minimum"),
    ("networkPolicy.runnerEgress.to[0].cidr=10.0.0.0/8", "/networkPolicy/runnerEgress/to/0", "additional properties"),
    ("networkPolicy.metricsFrom[0].ipBlock.cidr=all", "/networkPolicy/metricsFrom/0/ipBlock/cidr", "does not match"),
    ("metrics.secure.readers[0].name=p", "/metrics/secure/readers/0", "missing property 'namespace'"),
    ("podDisruptionBudget.maxUnavailable=half", "/podDisruptionBudget/maxUnavailable", "does not match pattern"),
    ("prometheusRule.runbookBase=wiki", "/prometheusRule/runbookBase", "does not match pattern"),
    ("notifications.receivers.Ops.url=https://h", "", "invalid propertyName 'Ops'"),
    ("notifications.receivers.ops.events={Failed}", "/notifications/receivers/ops", "missing property 'url'"),
    ("notifications.receivers.ops.url=h", "/notifications/receivers/ops/url", "does not match pattern"),
    ("notifications.receivers.ops.url=https://a:b@h", "/notifications/receivers/ops/url", "does not match pattern"),
    ("notifications.receivers.ops.hmacKey=x", "/notifications/receivers/ops", "additional properties 'hmacKey'"),
    ("dnsPolicy=Mine", "/dnsPolicy", "value must be one of"),
]


@pytest.mark.parametrize(("setting", "path", "text"), NONSENSE, ids=[case[0] for case in NONSENSE])
def test_the_schema_refuses_invalid_values_with_a_message(setting: str, path: str, text: str) -> None:
    with pytest.raises(LocalClusterError) as caught:
        render(f"--set={setting}")
    message = str(caught.value)
    assert "values don't meet the specifications of the schema" in message
    assert f"- at '{path}'" in message
    assert text in message
