"""Every alert fires in its promtool tests and in no others, and has a runbook."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from compressionjob import conditions
from dashboards.alerts.alert import RUNBOOKS, Alert
from dashboards.alerts.results import VERDICT_REASONS, WITH_OWN_ALERT
from dashboards.alerts.waiting import STUCK_WAITING
from dashboards.generated import ROOT
from dashboards.rules import alerts
from localcluster import debian
from localcluster.command import run
from localcluster.errors import LocalClusterError

FILES: Final = sorted((ROOT / "dashboards" / "tests").glob("*.yaml"))
SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
LOOK: Final = 300
"""Seconds between two checks for unexpected alerts."""


@pytest.fixture(scope="module")
def promtool() -> str:
    debian.ensure(debian.PROMETHEUS)
    return shutil.which("promtool") or "promtool"


def seconds(duration: str) -> int:
    """Return the seconds of a duration in promtool's format."""
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)([smh])", duration))


def load(file: Path) -> dict[str, Any]:
    """Read a promtool file with all scalars as text, since the samples ``0x80`` are a number in YAML."""
    content: dict[str, Any] = yaml.load(file.read_text(), Loader=yaml.BaseLoader)
    return content


def scenarios(file: Path) -> list[dict[str, Any]]:
    """Return the tests of one file."""
    tests: list[dict[str, Any]] = load(file)["tests"]
    return tests


def firing(test: dict[str, Any]) -> set[str]:
    """Return the alerts that a test expects to fire."""
    return {check["alertname"] for check in test["alert_rule_test"] if check["exp_alerts"]}


def silence(test: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return checks that no other alert fires during a test."""
    looks = {seconds(check["eval_time"]) for check in test["alert_rule_test"]}
    for moment in sorted({*range(0, max(looks), LOOK), *looks}):
        for alert in alerts():
            if alert.name not in firing(test):
                yield {"eval_time": f"{moment}s", "alertname": alert.name, "exp_alerts": []}


def only_where_named(file: Path, folder: Path, *, rules: Path) -> Path:
    """Return the file with these checks added to its tests."""
    content = load(file)
    for test in content["tests"]:
        test["alert_rule_test"] += silence(test)
    target = folder / file.name
    target.write_text(yaml.safe_dump(content | {"rule_files": [str(rules)]}))
    return target


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_the_promtool_tests_pass_and_no_other_alert_ever_fires_in_them(
    promtool: str, file: Path, tmp_path: Path
) -> None:
    complete = only_where_named(file, tmp_path, rules=ROOT / "dashboards" / "rules.yaml")
    assert "SUCCESS" in run([promtool, "test", "rules", complete])


def test_an_unexpected_alert_fails_the_promtool_tests(promtool: str, tmp_path: Path) -> None:
    rules = yaml.safe_load((ROOT / "dashboards" / "rules.yaml").read_text())
    (stuck,) = [rule for group in rules["groups"] for rule in group["rules"] if rule["alert"] == "CompressionJobStuck"]
    stuck["expr"] = stuck["expr"].replace("> 3600", "> 1800")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    (file,) = [file for file in FILES if file.stem == "waiting"]
    with pytest.raises(LocalClusterError, match="CompressionJobStuck"):
        run([promtool, "test", "rules", only_where_named(file, tmp_path, rules=tmp_path / "rules.yaml")])


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_an_alert_is_tested_both_ways_and_has_a_runbook(alert: Alert) -> None:
    tests = [test for file in FILES for test in scenarios(file)]
    fires = [test for test in tests if alert.name in firing(test)]
    assert fires, "no test where it fires"
    for test in fires:
        quiet = [c for c in test["alert_rule_test"] if c["alertname"] == alert.name and not c["exp_alerts"]]
        assert quiet, f"{test['name']}: it fires from the first look on"
    named = [check["alertname"] for test in tests if not firing(test) for check in test["alert_rule_test"]]
    assert alert.name in named, "no test of ordinary life names it"
    page = (ROOT / RUNBOOKS / f"{alert.name}.md").read_text()
    assert page.startswith(f"# {alert.name}\n")
    for heading in ("## What it means", "## What to look at", "## What to do"):
        assert heading in page


def test_the_document_names_every_alert_with_its_severity() -> None:
    page = (ROOT / RUNBOOKS / "README.md").read_text()
    rows = re.findall(r"^\| \[(\w+)\]\((\1\.md)\) \| (\w+) \|", page, flags=re.MULTILINE)
    assert [(name, severity) for name, _, severity in rows] == [(alert.name, alert.severity) for alert in alerts()]


def test_every_runbook_belongs_to_an_alert() -> None:
    pages = {path.stem for path in (ROOT / RUNBOOKS).glob("*.md")} - {"README"}
    assert pages == {alert.name for alert in alerts()}


def test_the_rules_know_reasons_of_the_contract() -> None:
    reasons = {value for name, value in vars(conditions).items() if name.isupper() and isinstance(value, str)}
    assert {*STUCK_WAITING, *VERDICT_REASONS, *WITH_OWN_ALERT} <= reasons
