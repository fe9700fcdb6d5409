"""Names of the files of a run, and of the format that is loaded again before it is measured."""

from typing import Final

REPORT_JSON: Final = "report.json"
REPORT_HELD: Final = "report.held.json"
"""The reviewed report.json, after report.json itself has been updated by the publication."""
REPORT_HTML: Final = "report.html"
REPORT_MD: Final = "report.md"
CRASH_REPORT: Final = "crash-report.txt"
"""For bug reports after an unexpected error."""
OUTPUT: Final = "output"
"""The result of a local trial, below its work directory."""
PACKED_FORMAT: Final = "compressed-tensors"
"""The format of results that a second process loads, before they are measured."""
