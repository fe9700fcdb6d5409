"""`python -m benchmarks.tables`: rewrite every table from the existing results, without measuring.

Tables mark stale results, so they change when the version of a method rises.
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import local_run, pack
from benchmarks.checkpoints import table as checkpoints
from benchmarks.local_run.table import write_table
from benchmarks.methods import pods, table
from benchmarks.methods.staleness import current
from benchmarks.pack.table import write_tables
from benchmarks.peers import table as peers
from benchmarks.teacher import __main__ as teacher


def main() -> int:
    """Write the tables of all benchmarks whose results depend on a method."""
    now = current()
    methods = json.loads((Path(table.__file__).parent / "results.json").read_text())
    table.TABLE.write_text(table.render(methods, json.loads(pods.RESULTS.read_text()), now))
    packing = Path(pack.__file__).parent
    write_tables((packing / "README.md", table.TABLE.with_name("pack.md")), _results(packing), now)
    here = Path(local_run.__file__).parent
    write_table(here / "README.md", _results(here), now)
    (teacher.HERE / "README.md").write_text(teacher.render(_results(teacher.HERE), now))
    checkpoints.write_table(checkpoints.README, json.loads(checkpoints.RESULTS.read_text()), now)
    peers.README.write_text(peers.render(json.loads(peers.RESULTS.read_text()), now))
    return 0


def _results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text())


if __name__ == "__main__":
    sys.exit(main())
