"""Tables -> figures and one self-contained page. Never starts a training."""

from scalarize.report.document import build

__all__ = ["build"]
