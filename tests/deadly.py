"""A request that other processes can import, and do not survive."""

from __future__ import annotations

import os
import signal
from typing import Any

from scalarize.runs.request import TrainRequest


class Deadly(TrainRequest):
    """A training that ends the process that begins with it, as the system does if memory is short."""

    def source(self, *arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)
