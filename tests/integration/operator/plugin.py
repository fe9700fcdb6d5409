"""`kubectl compress` as a user runs it: the real kubectl finds the plugin on PATH."""

import os
import pty
import select
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcluster import tools

PROJECT = Path(__file__).parents[3] / "pyproject.toml"


@dataclass(frozen=True)
class Ended:
    """The exit status of a command, and its output."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Plugin:
    """The plugin with one user's kubeconfig and namespace."""

    scripts: Path
    kubeconfig: Path
    namespace: str

    def run(self, *arguments: str, stdin: str = "", **variables: str) -> Ended:
        """Run `kubectl compress` to its end, without a terminal."""
        done = subprocess.run(
            self.command(*arguments), input=stdin, capture_output=True, text=True, check=False, timeout=120,
            env=self.environment(variables),
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it, with its output to be read as it comes."""
        command, environment = self.command(*arguments), self.environment({})
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, bufsize=1
        )

    def talk(self, *arguments: str, answer: str, until: str) -> Ended:
        """Run it on a terminal, and type an answer once it has asked ``until``."""
        process, screen = pty.fork()
        if process == 0:
            command = self.command(*arguments)
            os.execvpe(command[0], command, self.environment({}))
        text, answered, end = "", False, time.monotonic() + 240
        while time.monotonic() < end:
            if select.select([screen], [], [], 0.2)[0]:
                try:
                    text += os.read(screen, 65536).decode(errors="replace")
                except OSError:  # it has ended, and closed its side
                    break
            if not answered and until in text:
                os.write(screen, f"{answer}\n".encode())
                answered = True
        _, status = os.waitpid(process, 0)
        os.close(screen)
        return Ended(os.waitstatus_to_exitcode(status), text, "")

    def complete(self, *words: str) -> list[str]:
        """What kubectl's own completion offers for a command line."""
        command = [str(tools.kubectl()), "__complete", "compress", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=self.environment({}))
        return done.stdout.splitlines()

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        return [str(tools.kubectl()), "compress", *arguments, f"--namespace={self.namespace}"]

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Variables of a user: kubectl and the plugin on PATH, and no AWS credentials."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        path = os.pathsep.join([str(self.scripts), str(tools.kubectl().parent), kept["PATH"]])
        return {**kept, "PATH": path, "KUBECONFIG": str(self.kubeconfig), "AWS_EC2_METADATA_DISABLED": "true"} | dict(
            variables
        )


def write_scripts(folder: Path) -> Path:
    """The scripts of pyproject.toml whose names kubectl looks for, as pip writes them."""
    scripts = tomllib.loads(PROJECT.read_text())["project"]["scripts"]
    for name, entry in scripts.items():
        if name.startswith("kubectl"):
            module, function = entry.split(":")
            place = folder / name
            place.write_text(
                f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
            )
            place.chmod(0o755)
    return folder
