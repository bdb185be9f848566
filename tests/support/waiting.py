"""Waiting for what happens a moment later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .clock import Stopwatch


def until(true: Callable[[], Any], seconds: float = 8.0) -> None:
    watch = Stopwatch()
    while not true():
        assert watch.took_s < seconds, "it did not happen in time"
        time.sleep(0.02)
