"""Run a parsed command, and return its exit status."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from typing import Final

from kubectl_compress.cluster import Cluster
from kubectl_compress.commands.compare import compare
from kubectl_compress.commands.init import init
from kubectl_compress.commands.listing import list_jobs
from kubectl_compress.commands.logs import logs
from kubectl_compress.commands.report import report
from kubectl_compress.commands.retry import retry
from kubectl_compress.commands.review import approve, reject
from kubectl_compress.commands.status import status
from kubectl_compress.commands.submit import submit
from kubectl_compress.display.terminal import Terminal
from kubectl_compress.errors import PluginError
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.options import kubectl_of

Action = Callable[[argparse.Namespace, Cluster, Terminal], ExitCode]

ACTIONS: Final[Mapping[str, Action]] = {
    "submit": submit,
    "status": status,
    "list": list_jobs,
    "logs": logs,
    "init": init,
    "report": report,
    "compare": compare,
    "approve": approve,
    "reject": reject,
    "retry": retry,
}


def run(args: argparse.Namespace) -> ExitCode:
    """Run the command; print errors on standard error."""
    terminal = Terminal.of_process()
    cluster = Cluster(kubectl_of(args))
    try:
        code = ACTIONS[args.command](args, cluster, terminal)
        sys.stdout.flush()
    except PluginError as error:
        code = error.status
        terminal.explain(error)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader, such as head, has closed the pipe; nothing may be written any more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.DONE
    for warning in cluster.kubectl.warnings:
        terminal.note(warning)
    return code
