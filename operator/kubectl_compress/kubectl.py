"""Access to the cluster through kubectl.

So kubectl itself handles the kubeconfig, the user's context, proxies, impersonation and authentication plugins, and no
client library is needed. ``--raw`` returns the API's own JSON, in pages and as a stream.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from kubectl_compress.errors import AlreadyExists, ClusterError, Forbidden, NotFound, PluginError, Unreachable

SERVICE_ACCOUNT_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""File in a pod with the namespace that kubectl uses there."""

_FROM_SERVER: Final = re.compile(r"Error from server(?: \((?P<reason>\w+)\))?: (?P<message>.*)", re.DOTALL)
_NOT_SERVED: Final = "the server could not find the requested resource"
_ERRORS: Final[dict[str, type[ClusterError]]] = {
    "NotFound": NotFound,
    "AlreadyExists": AlreadyExists,
    "Forbidden": Forbidden,
    "ServiceUnavailable": Unreachable,
    "InternalError": Unreachable,
    "Timeout": Unreachable,
    "ServerTimeout": Unreachable,
    "TooManyRequests": Unreachable,
    "Expired": Unreachable,  # the version of a list or watch is too old: begin again
}
_NO_CLUSTER: Final = "The connection to the server localhost:8080 was refused"
"""kubectl's message if no kubeconfig names a cluster."""
# kubectl's messages if there was no answer.
_NO_ANSWER: Final = (
    "Unable to connect to the server",
    "The connection to the server",
    "unexpected EOF",
    "connection reset",
    "connection refused",
    "http2:",
    "context deadline exceeded",
    "i/o timeout",
)


@dataclass
class Kubectl:
    """kubectl with the user's own flags, such as ``--context=prod``; ``namespace_flag`` is the value of -n."""

    flags: tuple[str, ...] = ()
    namespace_flag: str = ""
    warnings: list[str] = field(default_factory=list)
    """Lines on kubectl's error stream although it succeeded; the command shows them."""

    @cached_property
    def executable(self) -> str:
        """Return the path of kubectl.

        Raises PluginError if kubectl is not on PATH.
        """
        path = shutil.which("kubectl")
        if path is None:
            raise PluginError("there is no kubectl on PATH", "install it; the plugin reaches the cluster through it")
        return path

    @cached_property
    def namespace(self) -> str:
        """Return the namespace that kubectl would use: that of -n, of the context, of the pod, or default."""
        if self.namespace_flag:
            return self.namespace_flag
        try:
            namespace = self.run("config", "view", "--minify", "--output=jsonpath={.contexts[0].context.namespace}")
        except ClusterError:
            # No kubeconfig, as in a pod; the first request reports a context that does not exist.
            if SERVICE_ACCOUNT_NAMESPACE.is_file():
                return SERVICE_ACCOUNT_NAMESPACE.read_text(encoding="ascii").strip()
            return "default"
        return namespace.strip() or "default"

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl, and return its output.

        Raises the ClusterError for its message.
        """
        command = [self.executable, *arguments, *self.flags]
        done = subprocess.run(
            command, input=stdin, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        if done.returncode != 0:
            raise error_of(done.stderr)
        self.warnings += [line for line in done.stderr.splitlines() if line]
        return done.stdout

    def lines(self, *arguments: str) -> Generator[str, None, None]:
        """Run kubectl, and yield its lines as they arrive; closing the iterator ends kubectl.

        Raises the ClusterError for its message if it fails.
        """
        command = [self.executable, *arguments, *self.flags]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
        )
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                yield from process.stdout
                if process.wait() != 0:
                    raise error_of(process.stderr.read())
            finally:
                process.terminate()


def error_of(message: str) -> ClusterError:
    """Return the error for a message of kubectl."""
    message = message.strip()
    match = _FROM_SERVER.search(message)
    if match is not None:
        kind = _ERRORS.get(match["reason"] or "", ClusterError)
        if kind is NotFound and _NOT_SERVED in match["message"]:
            remedy = "install the operator and its CRDs (docs/install.md), or choose another --context"
            return ClusterError("this cluster does not know the resources of compression-operator.io", remedy)
        return kind(_plain(match["message"]), _remedy(kind))
    if _NO_CLUSTER in message:
        return _no_cluster()
    if any(words in message for words in _NO_ANSWER):
        return Unreachable(message, _remedy(Unreachable))
    remedy = "correct it; `kubectl explain cpj.spec` describes each field" if " is invalid:" in message else ""
    return ClusterError(_plain(message).removeprefix("error: ") or "kubectl failed without a message", remedy)


def _no_cluster() -> Unreachable:
    args = os.environ.get("KUBECONFIG")
    problem = f"KUBECONFIG={args} names no cluster" if args else "KUBECONFIG is not set"
    problem += ", or its current context is not set" if args else ", and ~/.kube/config names no cluster"
    remedy = "export KUBECONFIG=FILE with the kubeconfig of your cluster, or choose: kubectl config use-context NAME"
    return Unreachable(problem, remedy)


def _plain(message: str) -> str:
    """Return the API server's message without empty parts: unnamed fields and unchecked rules."""
    lines = [line for line in message.strip().splitlines() if not line.lstrip("* ").startswith("<nil>: ")]
    return "\n".join(lines).replace("<nil>", "the object")


def _remedy(kind: type[ClusterError]) -> str:
    if kind is Forbidden:
        return "ask for these permissions; `kubectl auth whoami` shows your user name"
    if kind is Unreachable:
        return "check that the cluster is running, or choose another --context"
    return ""
