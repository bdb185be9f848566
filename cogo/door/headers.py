"""What the door reads from a request's head: one value per name that allows only one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_gateway.core.errors import InvalidRequest

# Two readers of the same request must not differ about these: the gateway would judge one value and act on the other.
SINGLE = frozenset(
    {
        "authorization", "x-api-key", "x-goog-api-key", "content-length", "content-type", "content-encoding", "host", "idempotency-key",
        "x-cogo-strategy", "x-cogo-session", "x-cogo-tag", "x-request-timeout-ms", "anthropic-version",
    }
)  # fmt: skip


def names_and_values(scope: Mapping[str, Any]) -> dict[str, str]:
    """Headers by lower-case name; of one that came twice, the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def check_single(scope: Mapping[str, Any]) -> None:
    """Raises :class:`InvalidRequest` for a header that came twice and may not."""
    sent = scope["headers"]
    if len({name for name, _ in sent}) == len(sent):
        return
    seen: set[str] = set()
    for raw, _ in sent:
        name = raw.decode("latin-1")
        if name in seen and name in SINGLE:
            raise InvalidRequest(f"The header `{name}` was sent twice; send it once.", param=name)
        seen.add(name)
