"""Options come from the command line, else from the environment."""

from pathlib import Path

import pytest

from compression_operator.process.options import parse


def test_defaults() -> None:
    options = parse(["run"], {"POD_NAME": "op-1", "POD_NAMESPACE": "system"})
    assert options.namespaces == ()
    assert (options.lease_namespace, options.lease_name, options.port) == ("system", "compression-operator", 8080)
    assert options.identity.startswith("op-1_")
    assert options.log_format == "json"


def test_the_command_line_wins_over_the_environment() -> None:
    environment = {"COMPRESSION_OPERATOR_NAMESPACES": "a, b,", "COMPRESSION_OPERATOR_WORKERS": "3"}
    assert parse(["run"], environment).namespaces == ("a", "b")
    options = parse(["run", "--namespace=c", "--namespace=c", "--workers=5"], environment)
    assert (options.namespaces, options.workers) == (("c",), 5)


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run", "--workers=0"], ["run", "--progress-interval=0"]])
def test_invalid_options_end_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, {})
    assert ended.value.code == 2
    assert "usage: compression-operator" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "variable", "protected"),
    [
        ([], None, False),
        ([], "true", True),
        ([], "false", False),
        (["--children-protected"], None, True),
        (["--children-protected=false"], "true", False),
    ],
)
def test_children_are_protected_where_the_chart_says_so(
    arguments: list[str], variable: str | None, protected: bool
) -> None:
    environment = {} if variable is None else {"COMPRESSION_OPERATOR_CHILDREN_PROTECTED": variable}
    assert parse(["run", *arguments], environment).children_protected is protected


def test_an_environment_that_is_neither_true_nor_false_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["run"], {"COMPRESSION_OPERATOR_CHILDREN_PROTECTED": "maybe"})
    assert "maybe is neither true nor false" in capsys.readouterr().err


def test_two_replicas_never_share_an_identity() -> None:
    assert parse(["run"], {}).identity != parse(["run"], {}).identity


def test_rules_for_reviews_and_verified_identities_come_from_the_chart() -> None:
    environment = {
        "COMPRESSION_OPERATOR_REVIEW_RULES": '[{"namespaces":["prod"],"separation":true}]',
        "COMPRESSION_OPERATOR_IDENTITIES_VERIFIED": "true",
    }
    required = parse(["run"], environment).requirements
    (rule,) = required.review_rules
    assert (rule.namespaces, rule.required, rule.separation) == (["prod"], "Always", True)
    assert required.identities_verified
    default = parse(["run"], {}).requirements
    assert (default.review_rules, default.identities_verified) == ((), False)


def test_a_wrong_rule_ends_with_its_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["run", '--review-rules=[{"required":"Never"}]'], {})
    assert "reviews[0].required: 'Never' is not valid" in capsys.readouterr().err


def test_files_are_named_by_option_or_variable_and_none_is_needed() -> None:
    options = parse(["run"], {})
    assert (options.network_policy, options.metrics_certificate, options.metrics_port) == (None, None, 8443)
    environment = {"COMPRESSION_OPERATOR_NETWORK_POLICY": "/a", "COMPRESSION_OPERATOR_METRICS_CERTIFICATE": "/b"}
    options = parse(["run", "--metrics-port=0"], environment)
    assert (options.network_policy, options.metrics_certificate, options.metrics_port) == (Path("/a"), Path("/b"), 0)
