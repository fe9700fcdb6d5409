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
    """Run one command and return its exit status."""
    given = parser().parse_args(arguments)
    # Torch reads it on import: its threads then sleep while they wait for work, and do not occupy CPUs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # The memory is freed with the process: a last garbage collection over torch's objects would take a second.
    atexit.register(gc.freeze)
    command: Callable[[argparse.Namespace], int] = given.command
    return command(given)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = argparse.ArgumentParser(
        prog="compression-runner", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a job on this machine, without a cluster")
    run.add_argument("job", type=Path, metavar="JOB.yaml", help="a CompressionJob manifest")
    run.add_argument("--workdir", type=Path, required=True, metavar="DIR", help="folder for the report and output/")
    run.add_argument(
        "--publish", action="store_true", help="publish result, report and checkpoints to spec.output instead"
    )
    _add_price(run)
    run.set_defaults(command=_run)
    plan = commands.add_parser("plan", help="show the stages, sizes and memory of a job; moves no weights")
    plan.add_argument("job", type=Path, metavar="JOB.yaml", help="a CompressionJob manifest")
    plan.add_argument("--publish", action="store_true", help="check the destination in spec.output too")
    _add_price(plan)
    plan.set_defaults(command=_plan)
    pod = commands.add_parser("pod", help="run the job of this pod, as the operator does")
    pod.set_defaults(command=_pod)
    report = commands.add_parser("report", help="convert a report.json to a page or Markdown")
    report.add_argument("report", type=Path, metavar="REPORT.json", help="report of a run, also of an earlier version")
    report.add_argument("--format", choices=("markdown", "html"), default="markdown", help="markdown by default")
    report.add_argument("--output", type=Path, metavar="FILE", help="output file; standard output by default")
    report.set_defaults(command=_report)
    unpack = commands.add_parser("unpack", help="restore a packed artifact, bit for bit")
    unpack.add_argument("artifact", type=Path, metavar="ARTIFACT", help="a directory with artifact.json")
    unpack.add_argument("destination", type=Path, metavar="DEST", help="a new or empty directory")
    unpack.set_defaults(command=_unpack)
    return root


def _add_price(command: argparse.ArgumentParser) -> None:
    text = "price per hour of this machine, for sla.cost (COMPRESSION_PRICE_PER_HOUR by default)"
    command.add_argument("--price-per-hour", metavar="PRICE", help=text)


# Each command has its own imports: `plan` and --help must not wait for torch.
def _run(given: argparse.Namespace) -> int:
    from compression_runner.commands.run import run

    return run(given.job, given.workdir, publish=given.publish, price=given.price_per_hour)


def _plan(given: argparse.Namespace) -> int:
    from compression_runner.commands.plan import plan

    return plan(given.job, publish=given.publish, price=given.price_per_hour)


def _pod(_given: argparse.Namespace) -> int:
    from compression_runner.commands.secret_handover import environment_of_pod

    environment = environment_of_pod()
    from compression_runner.commands.pod import pod

    return pod(environment)


def _report(given: argparse.Namespace) -> int:
    from compression_runner.commands.report import report

    return report(given.report, given.format, given.output)


def _unpack(given: argparse.Namespace) -> int:
    from compression_runner.commands.unpack import unpack

    return unpack(given.artifact, given.destination)


if __name__ == "__main__":
    sys.exit(main())
