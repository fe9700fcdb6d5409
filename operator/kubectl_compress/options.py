"""The command line: one table of commands and flags, for the parser and for completion."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from kubectl_compress.kubectl import Kubectl

Kind = Literal[
    "", "file", "manifest", "job", "failed job", "waiting job", "context", "cluster", "user", "namespace", "phase",
    "setting", "task",
]  # fmt: skip
"""The type of a value, for completion."""


@dataclass(frozen=True)
class Flag:
    """An option; ``metavar`` is "" for one without a value."""

    names: tuple[str, ...]
    help: str
    metavar: str = ""
    kind: Kind = ""
    many: bool = False
    choices: tuple[str, ...] = ()
    required: bool = False
    attribute: str = ""
    """The attribute that argparse sets, if it differs from the flag's name."""

    @property
    def destination(self) -> str:
        """The attribute that argparse sets."""
        return self.attribute or self.names[-1].lstrip("-").replace("-", "_")


@dataclass(frozen=True)
class Command:
    """A command with its positional arguments: name, argparse's nargs, and type of each."""

    name: str
    help: str
    about: str
    positionals: tuple[tuple[str, str | int | None, Kind], ...]
    flags: tuple[Flag, ...] = field(default=())


_CONNECTION: Final = (
    Flag(("--kubeconfig",), "path of the kubeconfig", "FILE", "file"),
    Flag(("--context",), "context of the kubeconfig", "NAME", "context"),
    Flag(("--cluster",), "cluster of the kubeconfig", "NAME", "cluster"),
    Flag(("--user",), "user of the kubeconfig", "NAME", "user"),
    Flag(("--as",), "user to impersonate", "NAME"),
    Flag(("--as-group",), "group to impersonate; may be repeated", "NAME", many=True),
    Flag(("--as-uid",), "uid to impersonate", "UID"),
    Flag(("-s", "--server"), "address of the API server", "URL"),
    Flag(("--token",), "bearer token", "TOKEN"),
    Flag(("--request-timeout",), "how long one request may take, such as 10s", "TIME"),
)
"""Flags that are passed to kubectl unchanged."""
_NAMESPACE: Final = Flag(("-n", "--namespace"), "namespace; that of the context by default", "NAME", "namespace")
_WATCH: Final = Flag(("-w", "--watch"), "follow it until it ends; the exit status is its outcome")
_TIMEOUT: Final = Flag(("--timeout",), "stop waiting after this time, such as 30m (exit status 124)", "TIME")
_DRY_RUN: Final = Flag(("--dry-run",), "let the server check it, but store nothing")
_SELECTOR: Final = Flag(("-l", "--selector"), "labels that jobs must have, as kubectl's", "LABELS")
_REASON: Final = Flag(("--reason",), "why, for the provenance (required)", "TEXT", required=True)
_YES: Final = Flag(("-y", "--yes"), "do not ask for confirmation")


def _output(*formats: str) -> Flag:
    return Flag(("-o", "--output"), f"print {' or '.join(formats)} instead", "FORMAT", choices=formats)


COMMANDS: Final = (
    Command(
        "submit",
        "check manifests here and on the server, then create the jobs",
        "Every CompressionJob in the files is checked here first, field by field; nothing is created unless all are\n"
        "valid. Files may hold several documents; - is standard input.",
        (("FILE", "+", "manifest"),),
        (
            Flag(("--name",), "another name for the one job in the file", "NAME", attribute="new_name"),
            _DRY_RUN,
            _WATCH,
            _TIMEOUT,
            _output("name", "json"),
        ),
    ),
    Command(
        "status",
        "all jobs of a namespace in a table, or one job in full; live with --watch",
        "Exit status with --watch or --wait: 0 published (Pass, NoLimits or approved), 3 Fail, Inconclusive or\n"
        "rejected, 4 failed before a verdict, 5 waits for review, 124 --timeout. For several jobs the most severe, in\n"
        "the order 4, 3, 5.",
        (("NAME", "?", "job"),),
        (
            _WATCH,
            Flag(("--wait",), "as --watch, but print nothing until the end"),
            _TIMEOUT,
            Flag(("-A", "--all-namespaces"), "jobs of all namespaces"),
            _SELECTOR,
            Flag(("--phase",), "jobs in this phase only; may be repeated", "PHASE", "phase", many=True),
            _output("name", "json"),
        ),
    ),
    Command(
        "list",
        "the jobs of a namespace in a table; --reports says where their reports are",
        "The table of `status` without a name.",
        (),
        (
            Flag(("--reports",), "only jobs with a report: their verdicts, and where the reports are"),
            Flag(("-A", "--all-namespaces"), "jobs of all namespaces"),
            _SELECTOR,
            Flag(("--phase",), "jobs in this phase only; may be repeated", "PHASE", "phase", many=True),
            _output("name", "json"),
        ),
    ),
    Command(
        "logs",
        "the log of a job's newest pod, or of --pod",
        "Needs the rights to get and list pods and to get pods/log in the job's namespace.",
        (("NAME", None, "job"),),
        (
            Flag(("-f", "--follow"), "follow the log until the pod ends"),
            Flag(("--tail",), "only so many of the newest lines", "LINES"),
            Flag(("--pod",), "another pod of the job", "NAME"),
            Flag(("--raw",), "the JSON lines as the runner writes them"),
        ),
    ),
    Command(
        "init",
        "a commented manifest for a model: ORG/NAME on the Hugging Face Hub, s3://, pvc://, or a folder here",
        "The task is guessed from the model's config.json, which is read here or on the Hub (HF_ENDPOINT, HF_TOKEN).\n"
        "Nothing is sent to a cluster.",
        (("MODEL", None, "file"),),
        (
            Flag(("--task",), "the model's task, if it cannot be guessed", "TASK", "task"),
            Flag(("--name",), "name of the job; the model's name by default", "NAME", attribute="new_name"),
            Flag(("--save",), "write the manifest into FILE", "FILE", "file"),
        ),
    ),
    Command(
        "report",
        "verdict, limits, figures and promises of a job; --save and --open fetch the report itself",
        "The report is at the job's spec.output.reports. From s3:// it is fetched with your own AWS\n"
        "credentials (environment, profile), never with the job's Secret; this needs the extra kubectl-s3.",
        (("NAME", None, "job"),),
        (
            Flag(("--save",), "fetch the report into FILE: .html, .json or .md", "FILE", "file"),
            Flag(("--open",), "fetch the page, and open it in the browser"),
            Flag(("--endpoint",), "URL of the object store, if the job's endpoint is not reachable from here", "URL"),
            _output("json"),
        ),
    ),
    Command(
        "compare",
        "two jobs side by side: verdict, size, latency, throughput, memory, quality, spec",
        "Differences are B against A, each marked better or worse.",
        (("A", None, "job"), ("B", None, "job")),
        (_output("json"),),
    ),
    Command(
        "approve",
        "approve a job that waits for review: its result is published",
        "Creates a CompressionReview in your name. You need the permission to create compressionreviews.",
        (("NAME", None, "waiting job"),),
        (_REASON, _YES, _DRY_RUN),
    ),
    Command(
        "reject",
        "reject a job that waits for review: nothing is published, and it fails",
        "Creates a CompressionReview in your name. You need the permission to create compressionreviews.",
        (("NAME", None, "waiting job"),),
        (_REASON, _YES, _DRY_RUN),
    ),
    Command(
        "retry",
        "run a failed job again, as a new job; finished stages come from its checkpoints",
        "A job runs once and its spec cannot change, so the new job has the same spec and another name.",
        (("NAME", None, "failed job"),),
        (
            Flag(
                ("--set",),
                "another value for a field that leaves the compression as it is, such as spec.deadline=2h; null "
                "removes it; may be repeated",
                "FIELD=VALUE",
                "setting",
                many=True,
            ),
            Flag(
                ("--name",),
                "name of the new job; NAME-retry-1 and so on by default",
                "NAME",
                attribute="new_name",
            ),
            _DRY_RUN,
            _WATCH,
            _TIMEOUT,
            _output("name", "json"),
        ),
    ),
)


_POSITIONALS: Final[dict[Kind, str]] = {
    "manifest": "YAML or JSON files; - is standard input",
    "job": "a CompressionJob",
    "waiting job": "a job that waits for review",
    "failed job": "a job that failed",
    "file": "a model: ORG/NAME, a location such as s3://BUCKET/KEY, or a folder or file here",
}


GLOBAL_FLAGS: Final = (_NAMESPACE, *_CONNECTION)
"""Flags of all commands; they may also precede the command."""


def flags_after_command(words: Sequence[str]) -> list[str]:
    """Return a command line in which flags before the command are moved behind it.

    kubectl accepts no flags before a plugin's name, so users write ``kubectl compress -n ml status``.
    """
    takes_value = {name for flag in _ALL_FLAGS if flag.metavar for name in flag.names}
    rest, leading = list(words), list[str]()
    while rest and rest[0].startswith("-") and rest[0] not in _ABOUT_ALL:
        leading.append(rest.pop(0))
        if leading[-1] in takes_value and rest:
            leading.append(rest.pop(0))
    return [*rest[:1], *leading, *rest[1:]]


def flags_of(command: Command) -> tuple[Flag, ...]:
    """Return all flags of a command, its own first."""
    return (*command.flags, *GLOBAL_FLAGS)


_ALL_FLAGS: Final = tuple(flag for command in COMMANDS for flag in flags_of(command))
_ABOUT_ALL: Final = ("-h", "--help", "--version")
"""Flags that argparse handles without a command."""


def parser(version: str) -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = argparse.ArgumentParser(
        prog="kubectl compress",
        description="CompressionJobs from a terminal.",
        epilog="kubectl compress COMMAND --help shows the flags of a command.",
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=version)
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        _add(commands, command)
    return root


def _add(commands: Any, command: Command) -> None:
    sub = commands.add_parser(
        command.name,
        help=command.help,
        description=f"{command.help[0].upper()}{command.help[1:]}.\n\n{command.about}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, count, kind in command.positionals:
        more = {} if count is None else {"nargs": count}
        sub.add_argument(name.lower(), metavar=name, help=_POSITIONALS[kind], **more)
    for flag in command.flags:
        _add_flag(sub, flag)
    group = sub.add_argument_group("cluster, as for kubectl")
    for flag in GLOBAL_FLAGS:
        _add_flag(group, flag)


def _add_flag(target: Any, flag: Flag) -> None:
    settings: dict[str, Any] = {"help": flag.help, "dest": flag.destination}
    if not flag.metavar:
        settings["action"] = "store_true"
    else:
        settings |= {"metavar": flag.metavar, "default": [] if flag.many else "", "required": flag.required}
        settings["action"] = "append" if flag.many else "store"
        if flag.choices:
            settings |= {"choices": flag.choices, "metavar": "|".join(flag.choices)}
    target.add_argument(*flag.names, **settings)


def kubectl_of(args: argparse.Namespace) -> Kubectl:
    """Return kubectl with its own flags from the command line."""
    values = {flag.names[-1]: getattr(args, flag.destination) for flag in _CONNECTION}
    listed = {name: [value] if isinstance(value, str) else value for name, value in values.items()}
    return Kubectl(connection_flags(listed), str(args.namespace))


def connection_flags(values: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the flags for kubectl, from values by long name."""
    names = [flag.names[-1] for flag in _CONNECTION]
    return tuple(f"{name}={value}" for name in names for value in values.get(name, ()) if value)
