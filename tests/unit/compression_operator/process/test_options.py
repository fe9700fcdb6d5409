"""Options come from the command line, and from the environment where it says nothing."""

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
def test_mistakes_end_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, {})
    assert ended.value.code == 2
    assert "usage: compression-operator" in capsys.readouterr().err


def test_two_replicas_never_share_an_identity() -> None:
    assert parse(["run"], {}).identity != parse(["run"], {}).identity
