"""`compression-runner`: the pipeline of a CompressionJob, in a pod or without a cluster.

Exit status: 0 SLA met or no limits set (pod: any verdict), 2 invalid spec or input, 3 SLA not met or inconclusive (run
only), 4 storage away, 5 bad recipe, 7 disk full, 143 SIGTERM, 1 anything else.
"""

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    given = parser().parse_args(arguments)
    # Read when torch is imported: its threads sleep while they wait for work, and leave the CPUs to others.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # The memory of a process that ends goes with it: looking for cycles in what torch leaves takes a second.
    atexit.register(gc.freeze)
    command: Callable[[argparse.Namespace], int] = given.command
    return command(given)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = argparse.ArgumentParser(
        prog="compression-runner", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a job here, without a cluster")
    run.add_argument("job", type=Path, metavar="JOB.yaml", help="a CompressionJob manifest")
    run.add_argument("--workdir", type=Path, required=True, metavar="DIR", help="gets the report and output/")
    run.add_argument(
        "--publish", action="store_true", help="leave result, report and checkpoints where spec.output says instead"
    )
    _ask_price(run)
    run.set_defaults(command=_run)
    plan = commands.add_parser("plan", help="say what a job would do, with sizes and memory; moves no weights")
    plan.add_argument("job", type=Path, metavar="JOB.yaml", help="a CompressionJob manifest")
    plan.add_argument("--publish", action="store_true", help="look at the destination that spec.output names, too")
    _ask_price(plan)
    plan.set_defaults(command=_plan)
    pod = commands.add_parser("pod", help="run the job that the operator gave to this pod")
    pod.set_defaults(command=_pod)
    report = commands.add_parser("report", help="make a page or Markdown of a report.json")
    report.add_argument("report", type=Path, metavar="REPORT.json", help="what a run left, of this version or before")
    report.add_argument("--format", choices=("markdown", "html"), default="markdown", help="markdown by default")
    report.add_argument("--output", type=Path, metavar="FILE", help="where to write it; standard output by default")
    report.set_defaults(command=_report)
    unpack = commands.add_parser("unpack", help="restore a packed artifact, bit for bit")
    unpack.add_argument("artifact", type=Path, metavar="ARTIFACT", help="a directory with artifact.json")
    unpack.add_argument("destination", type=Path, metavar="DEST", help="a directory that is new or empty")
    unpack.set_defaults(command=_unpack)
    return root


def _ask_price(command: argparse.ArgumentParser) -> None:
    text = "price of an hour of this machine, for sla.cost (COMPRESSION_PRICE_PER_HOUR by default)"
    command.add_argument("--price-per-hour", metavar="PRICE", help=text)


# Each command imports what it needs: `plan` and --help must not wait for torch.
def _run(given: argparse.Namespace) -> int:
    from compression_runner.commands.run import run

    return run(given.job, given.workdir, publish=given.publish, price=given.price_per_hour)


def _plan(given: argparse.Namespace) -> int:
    from compression_runner.commands.plan import plan

    return plan(given.job, publish=given.publish, price=given.price_per_hour)


def _pod(_given: argparse.Namespace) -> int:
    from compression_runner.commands.pod import pod

    return pod()


def _report(given: argparse.Namespace) -> int:
    from compression_runner.commands.report import report

    return report(given.report, given.format, given.output)


def _unpack(given: argparse.Namespace) -> int:
    from compression_runner.commands.unpack import unpack

    return unpack(given.artifact, given.destination)


if __name__ == "__main__":
    sys.exit(main())
