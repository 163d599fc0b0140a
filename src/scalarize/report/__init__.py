"""From tables to figures and one self-contained page. Starts no training."""

from scalarize.report.run_page import build

__all__ = ["build"]
