"""Operators as real processes."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.integration.operator.api import wait_for


@dataclass
class OperatorProcess:
    """One replica."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def port(self) -> int:
        """The port that it serves on, waited for."""

        def look() -> int | None:
            for line in self.lines():
                if line["message"].startswith("serving "):
                    return int(line["message"].rsplit(" ", 1)[1])
            assert self.process.poll() is None, f"the operator ended:\n{self.log.read_text()}"
            return None

        return wait_for("the operator serves", look)

    def lines(self) -> list[dict[str, str]]:
        """Its log lines so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def fetch(self, path: str) -> str:
        """What it answers on /metrics, /healthz or /readyz; "" while it does not answer well."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return ""

    def metric(self, sample: str) -> float:
        """The value of a sample such as ``name{label="x"}``; 0 when it is not there."""
        for line in self.fetch("/metrics").splitlines():
            if line.startswith(f"{sample} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def wait_ready(self) -> None:
        """Wait until its caches are filled."""
        wait_for("the operator is ready", lambda: self.fetch("/readyz"))

    def wait_leading(self, seconds: float = 60) -> None:
        """Wait until it leads."""
        wait_for("the operator leads", lambda: self.metric("compression_operator_leader") == 1, seconds)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as the kubelet does, and return its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=20)


def start(kubeconfig: Path, folder: Path, *arguments: str, protected: bool = True) -> OperatorProcess:
    """Start a replica with this kubeconfig; its log lies in ``folder``.

    ``protected``: only it creates Jobs in its name, as the chart's policies ensure.
    """
    log = folder / f"operator-{len(list(folder.glob('operator-*')))}.log"
    command = [sys.executable, "-m", "compression_operator", "run", "--port=0", "--progress-interval=0.2", *arguments]
    if protected:
        command.append("--children-protected")
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, "KUBECONFIG": str(kubeconfig), "POD_NAME": log.stem}
        )
    return OperatorProcess(process, log)
