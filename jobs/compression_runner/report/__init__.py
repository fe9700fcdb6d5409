"""Render a report: a self-contained HTML page for the person who signs, and Markdown for a pull request."""

from compression_runner.report.markdown import render_markdown
from compression_runner.report.page import render_html

__all__ = ["render_html", "render_markdown"]
