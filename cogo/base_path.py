"""A gateway below a path of its host: inner apps see paths from the root, Django sees the full
path.

A proxy may strip the path or keep it; both work. The gateway ignores headers about it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


def below(app: App, base: str) -> App:
    """``app`` for requests at or below ``base``, and for requests whose ``base`` the proxy
    stripped."""
    if not base:
        return app

    async def stripped(scope: Scope, receive: Any, send: Any) -> None:
        path: str = scope.get("path", "")
        if path == base or path.startswith(f"{base}/"):
            scope = {**scope, "path": path[len(base) :] or "/"}
        await app(scope, receive, send)

    return stripped


def at(app: App, base: str) -> App:
    """Django needs the whole path and the script name."""
    if not base:
        return app

    async def whole(scope: Scope, receive: Any, send: Any) -> None:
        await app({**scope, "path": base + scope["path"], "root_path": base} if "path" in scope else scope, receive, send)

    return whole
