"""Files stay short enough to read in one go."""

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MOST_LINES: Final = 300
MOST_LINES_OF_TESTS: Final = 450


def limit(file: str) -> int:
    return MOST_LINES_OF_TESTS if file.startswith("tests/") else MOST_LINES


def test_python_files_keep_the_limit() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lengths = {file: len((ROOT / file).read_text().splitlines()) for file in listed.split() if (ROOT / file).is_file()}
    assert len(lengths) > 1000
    assert {file: lines for file, lines in lengths.items() if lines > limit(file)} == {}
