"""The epoch that a method sees, counted by the training, by steps, or by a window."""

from __future__ import annotations

from scalarize.balancer.notices import Notices
from scalarize.methods import Method
from scalarize.utils.errors import RequestError


class Epochs:
    """Epochs from 0: those that the training sets, else ``steps_per_epoch`` steps each, else the method's window.

    Args:
        method: says if it counts epochs, and how many steps may stand for one.
        steps_per_epoch: at least 1, or None.
        notices: says once that a window stands for epochs that nobody counts.

    Raises:
        RequestError: a ``steps_per_epoch`` below 1.
    """

    def __init__(self, method: Method, steps_per_epoch: int | None, notices: Notices) -> None:
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise RequestError(f"steps_per_epoch must be at least 1, got {steps_per_epoch}")
        self._method, self._steps, self._notices = method, steps_per_epoch, notices
        self._set: int | None = None

    def set(self, epoch: int | None) -> None:
        """Set the epoch until the next call; None: no epoch is set."""
        self._set = None if epoch is None else int(epoch)

    def known(self, step: int) -> int:
        """Return the epoch at ``step`` as far as the training said; 0 if it did not."""
        if self._set is not None:
            return self._set
        return step // self._steps if self._steps else 0

    @property
    def was_set(self) -> bool:
        """True once the training has set an epoch."""
        return self._set is not None

    def told(self, step: int) -> int:
        """Return the epoch for the method at ``step``.

        Raises:
            RequestError: nobody counts epochs, and this method cannot do without.
        """
        if self._set is not None or self._steps or not self._method.counts_epochs:
            return self.known(step)
        window, name = self._method.epoch_window, self._method.name
        remedy = "set balancer.epoch = e in each epoch, from the first on, or give Balancer(..., steps_per_epoch=)"
        if window is None:
            raise RequestError(f"{name} changes its weights from epoch to epoch: {remedy}")
        if step >= window:
            self._notices.once("epoch", f"{name} counts epochs: {window} steps stand for each until you {remedy}")
        return step // window
