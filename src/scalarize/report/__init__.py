"""Tables -> figures and one self-contained page. Never starts a training."""

from scalarize.report.run_page import build

__all__ = ["build"]
