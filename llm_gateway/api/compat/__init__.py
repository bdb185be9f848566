"""The compatible APIs: bare ASGI endpoints, one file per dialect. :data:`routes` is what the door hosts."""

from __future__ import annotations

from ._routes import Route, routes

__all__ = ["Route", "routes"]
