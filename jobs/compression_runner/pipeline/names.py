"""Names of what a run leaves behind."""

from typing import Final

REPORT_JSON: Final = "report.json"
REPORT_HELD: Final = "report.held.json"
"""report.json as it was reviewed, once report.json itself says that the result was published."""
REPORT_HTML: Final = "report.html"
REPORT_MD: Final = "report.md"
CRASH_REPORT: Final = "crash-report.txt"
"""What to attach to a bug report where a run ended in a way that nothing foresaw."""
OUTPUT: Final = "output"
"""The result of a local trial, below its work directory."""
