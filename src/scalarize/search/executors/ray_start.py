"""A quiet start of Ray: nothing is served, sent to its makers, logged to the terminal or left in the home directory."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from typing import Any

from scalarize.search.executors import ray_private
from scalarize.search.executors.ray_private import PrivateRay
from scalarize.utils.errors import RequestError, RunError

# Set unless the user has set them, and before ray is first imported: some are read at import.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # what workers raise is raised by the executor
}
_STARTS = 4  # on a busy machine a node misses the 30 s that ray allows it
_STARTED: list[PrivateRay] = []  # at most one: that of this process


def load() -> Any:
    """Import and return ``ray``. Raises RequestError if the extra is not installed."""
    for key, value in _QUIET.items():
        os.environ.setdefault(key, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError:
        raise RequestError("`ray_address` needs ray: pip install 'scalarize[ray]'") from None
    return ray


def start(address: str | None, cpus: int, gpus: float | None = None, dashboard: bool = False) -> bool:
    """Connect to the cluster at ``address``, or start one on this machine with ``cpus`` slots.

    Returns:
        True if it was started or joined here (and must be left by :func:`stop`), False if this process had joined
        it before.

    Raises:
        RunError: ``address`` does not answer.
    """
    ray = load()
    if ray.is_initialized():
        return False
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if address is not None:
        settings["address"] = address
    else:
        settings.update(address="local", num_cpus=cpus, include_dashboard=dashboard)
        if gpus is not None:
            settings["num_gpus"] = gpus
    for attempt in range(_STARTS):
        own = ray_private.prepare() if address is None else None
        _STARTED.extend([own] if own else [])
        try:
            with warnings.catch_warnings(), _silent("ray"), ray_private.own_sigterm():
                warnings.simplefilter("ignore")
                ray.init(**settings, **(own.settings if own else {}))
            return True
        except BaseException as error:  # ray raises a bare Exception if a node does not start in time
            stop()
            if not isinstance(error, Exception):
                raise
            if address is None and "timed out during startup" in str(error) and attempt + 1 < _STARTS:
                continue
            where = f"the Ray cluster at {address}" if address else "Ray on this machine"
            reason = str(error).strip().splitlines()
            raise RunError(f"cannot reach {where}: {reason[0] if reason else type(error).__name__}") from error
    raise AssertionError("unreachable: the last attempt returns or raises")


def stop() -> None:
    """Leave the cluster that :func:`start` joined; end it, and remove its files, if it was started here."""
    load().shutdown()
    ray_private.give_back_sigterm()
    while _STARTED:
        _STARTED.pop().close()


@contextlib.contextmanager
def _silent(name: str) -> Any:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(max(before, logging.ERROR))
