"""The command ``kubectl_complete-compress``, which kubectl runs for completion in bash, zsh and fish.

It gets the words after ``kubectl compress``, completes the last one, and prints one candidate in each line, with a
description after a tab, then ``:DIRECTIVE`` as cobra reads it
(https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins, "Providing shell completion").
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from enum import IntFlag
from typing import Final

from compressionjob.plain_text import plain
from kubectl_compress.errors import PluginError
from kubectl_compress.kubectl import Kubectl
from kubectl_compress.options import (
    COMMANDS,
    GLOBAL_FLAGS,
    Command,
    Flag,
    Kind,
    connection_flags,
    flags_after_command,
    flags_of,
)

PHASES: Final = ("Pending", "Running", "Suspended", "AwaitingReview", "Succeeded", "Failed")
"""The phases of ``compressionjob.status``, which takes too long to import for a completion."""
MANIFESTS: Final = ("yaml", "yml", "json")

_QUICK: Final = "--request-timeout=3s"
_TABLE: Final = ("get", "compressionjobs.compression-operator.io", "--no-headers")


class Directive(IntFlag):
    """Instructions to the shell: cobra's ShellCompDirective."""

    DEFAULT = 0
    NO_SPACE = 2
    NO_FILES = 4
    FILE_EXTENSIONS = 8


class Completion:
    """Candidates for a command line. Errors are not printed, since they would appear in the user's prompt."""

    def __init__(self, kubectl: Callable[[tuple[str, ...], str], Kubectl] = Kubectl) -> None:
        self._make = kubectl
        self._offers: Mapping[Kind, Callable[[Kubectl], list[str]]] = {
            "job": lambda kubectl: _jobs(kubectl),
            "failed job": lambda kubectl: _jobs(kubectl, "Failed"),
            "waiting job": lambda kubectl: _jobs(kubectl, "AwaitingReview"),
            "namespace": lambda kubectl: [
                line.removeprefix("namespace/")
                for line in kubectl.run("get", "namespaces", "--output=name").splitlines()
            ],
            "context": lambda kubectl: kubectl.run("config", "get-contexts", "--output=name").splitlines(),
            # The first line is a heading.
            "cluster": lambda kubectl: kubectl.run("config", "get-clusters").splitlines()[1:],
            "user": lambda kubectl: kubectl.run("config", "get-users").splitlines()[1:],
            "phase": lambda _kubectl: list(PHASES),
            "setting": lambda _kubectl: _settings(),
            "task": lambda _kubectl: _tasks(),
        }

    def of(self, words: Sequence[str]) -> tuple[list[str], Directive]:
        """Return the candidates for the last word."""
        *before, last = words or [""]
        before = flags_after_command(before)
        command = next((item for item in COMMANDS if before and item.name == before[0]), None)
        if command is None:
            return self._before_command(before, last)
        return self._in_command(command, before[1:], last)

    def _before_command(self, before: Sequence[str], last: str) -> tuple[list[str], Directive]:
        """Return the candidates before the command: commands, and flags for kubectl."""
        flags = {name: flag for flag in GLOBAL_FLAGS for name in flag.names}
        positionals, values, waiting = _parsed(flags, before)
        if waiting is not None:
            return self._values(waiting.kind, waiting.choices, last, values)
        if last.startswith("-"):
            return _starting([f"{flag.names[-1]}\t{flag.help}" for flag in GLOBAL_FLAGS], last), Directive.NO_FILES
        offered = [] if positionals else [f"{item.name}\t{item.help}" for item in COMMANDS]
        return _starting(offered, last), Directive.NO_FILES

    def _in_command(self, command: Command, before: Sequence[str], last: str) -> tuple[list[str], Directive]:
        flags = {name: flag for flag in flags_of(command) for name in flag.names}
        positionals, values, waiting = _parsed(flags, before)
        if waiting is not None:
            return self._values(waiting.kind, waiting.choices, last, values)
        name, equals, value = last.partition("=")
        if equals and name in flags:
            return self._values(flags[name].kind, flags[name].choices, value, values)
        if last.startswith("-"):
            offered = [f"{flag.names[-1]}\t{flag.help}" for flag in flags_of(command) if _may_follow(flag, values)]
            return _starting(offered, last), Directive.NO_FILES
        index = min(len(positionals), len(command.positionals) - 1)
        _, count, kind = command.positionals[index]
        if len(positionals) >= len(command.positionals) and count != "+":
            return [], Directive.NO_FILES
        offered, directive = self._values(kind, (), last, values)
        return [item for item in offered if item.split("\t")[0] not in positionals], directive

    def _values(
        self, kind: Kind, choices: Sequence[str], last: str, values: Mapping[str, list[str]]
    ) -> tuple[list[str], Directive]:
        if kind == "file":
            return [], Directive.DEFAULT
        if kind == "manifest":
            return list(MANIFESTS), Directive.FILE_EXTENSIONS
        if choices:
            return _starting(choices, last), Directive.NO_FILES
        offer = self._offers.get(kind)
        if offer is None:
            return [], Directive.NO_FILES
        try:
            candidates = offer(self._make((*connection_flags(values), _QUICK), (values.get("--namespace") or [""])[-1]))
        except PluginError:
            return [], Directive.NO_FILES
        return _starting(candidates, last), Directive.NO_FILES | (Directive.NO_SPACE if kind == "setting" else 0)


def _parsed(flags: Mapping[str, Flag], words: Sequence[str]) -> tuple[list[str], dict[str, list[str]], Flag | None]:
    """Return positional arguments, values of flags by their long name, and a last flag without its value."""
    positionals: list[str] = []
    values: dict[str, list[str]] = {}
    waiting: Flag | None = None
    for word in words:
        name, equals, value = word.partition("=")
        if waiting is not None:
            values.setdefault(waiting.names[-1], []).append(word)
            waiting = None
        elif name in flags:
            flag = flags[name]
            if equals or not flag.metavar:
                values.setdefault(flag.names[-1], []).append(value)
            else:
                waiting = flag
        elif not word.startswith("-") or word == "-":
            positionals.append(word)
    return positionals, values, waiting


def _may_follow(flag: Flag, values: Mapping[str, list[str]]) -> bool:
    return flag.many or flag.names[-1] not in values


def _starting(offered: Sequence[str], start: str) -> list[str]:
    return [item for item in offered if item.startswith(start)]


def _jobs(kubectl: Kubectl, phase: str = "") -> list[str]:
    """Return the names of jobs with their phases, from the server's table, which is small."""
    place = (f"--namespace={kubectl.namespace_flag}",) if kubectl.namespace_flag else ()
    rows = [line.split() for line in kubectl.run(*_TABLE, *place).splitlines()]
    names = [(row[0], row[1] if len(row) > 2 else "") for row in rows if row]
    return [f"{name}\t{state}" if state else name for name, state in names if not phase or state == phase]


def _settings() -> list[str]:
    from kubectl_compress.overrides import fields

    return [f"{field}=" for field in fields()]


def _tasks() -> list[str]:
    from compressionjob.tasks import TASKS

    return list(TASKS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print candidates and directive."""
    candidates, directive = Completion().of(sys.argv[1:] if arguments is None else arguments)
    sys.stdout.write("".join(f"{plain(line)}\n" for line in (*candidates, f":{directive.value}")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
