"""Errors from kubectl's messages."""

import pytest

from kubectl_compress import errors
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.kubectl import Kubectl, error_of


@pytest.mark.parametrize(
    ("text", "kind", "problem"),
    [
        (
            'Error from server (NotFound): compressionjobs.compression-operator.io "a" not found\n',
            errors.NotFound,
            'compressionjobs.compression-operator.io "a" not found',
        ),
        (
            'Error from server (AlreadyExists): compressionjobs.compression-operator.io "a" already exists',
            errors.AlreadyExists,
            'compressionjobs.compression-operator.io "a" already exists',
        ),
        ('Error from server (Forbidden): x is forbidden: User "bob" cannot', errors.Forbidden, "cannot"),
        ("Error from server (Expired): The resourceVersion is too old", errors.Unreachable, "too old"),
        (
            "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
            errors.Unreachable,
            "127.0.0.1:1",
        ),
        ("Unable to connect to the server: net/http: TLS handshake timeout", errors.Unreachable, "TLS"),
        ('error: context "nope" does not exist', errors.ClusterError, 'context "nope" does not exist'),
        ('The CompressionJob "a" is invalid: spec.retries: Invalid value', errors.ClusterError, "spec.retries"),
        ("", errors.ClusterError, "kubectl failed without a message"),
    ],
)
def test_a_message_becomes_the_error_that_it_stands_for(
    text: str, kind: type[errors.ClusterError], problem: str
) -> None:
    error = error_of(text)
    assert type(error) is kind
    assert problem in error.problem
    assert error.status is ExitCode.REFUSED


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "KUBECONFIG is not set, and ~/.kube/config names no cluster"),
        ("/no/file", "KUBECONFIG=/no/file names no cluster, or its current context is not set"),
    ],
)
def test_missing_cluster_names_the_kubeconfig_variable(
    value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", value)
    error = error_of(
        "The connection to the server localhost:8080 was refused - did you specify the right host or port?"
    )
    assert type(error) is errors.Unreachable
    assert error.problem == problem
    assert "export KUBECONFIG=FILE" in error.remedy


def test_missing_operator_and_missing_job_have_different_errors() -> None:
    error = error_of("Error from server (NotFound): the server could not find the requested resource")
    assert not isinstance(error, errors.NotFound)
    assert "does not know" in error.problem
    assert "install the operator" in error.remedy


def test_empty_parts_of_server_messages_are_removed() -> None:
    error = error_of(
        'The CompressionJob "a" is invalid: \n* spec.model: Required value\n* <nil>: Invalid value: null: some '
        "validation rules were not checked because the object was invalid; correct the existing errors"
    )
    assert error.problem == 'The CompressionJob "a" is invalid: \n* spec.model: Required value'
    assert "kubectl explain" in error.remedy


def test_without_kubectl_the_remedy_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(errors.PluginError, match="no kubectl on PATH"):
        Kubectl().run("version")
