"""report.html: one self-contained page for the person who has to sign."""

from compression_runner.report.page import render_html

__all__ = ["render_html"]
