"""A gateway below a path of its host: what is inside sees paths as at the root, Django sees where it really is.

A proxy may take the path away or leave it: both arrive here. What a caller says of it in a header is not believed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


def below(app: App, base: str) -> App:
    """``app`` for requests to ``base`` and below, and for those from which the proxy took it away."""
    if not base:
        return app

    async def stripped(scope: Scope, receive: Any, send: Any) -> None:
        path: str = scope.get("path", "")
        if path == base or path.startswith(f"{base}/"):
            scope = {**scope, "path": path[len(base) :] or "/"}
        await app(scope, receive, send)

    return stripped


def at(app: App, base: str) -> App:
    """For Django, which wants the whole path and where it begins."""
    if not base:
        return app

    async def whole(scope: Scope, receive: Any, send: Any) -> None:
        await app({**scope, "path": base + scope["path"], "root_path": base} if "path" in scope else scope, receive, send)

    return whole
