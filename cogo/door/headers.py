"""What the door reads from a request's head: one value per name that allows only one, and one client key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_gateway.core.errors import InvalidRequest, Unauthenticated

# Two readers of the same request must not differ about these: the gateway would judge one value and act on the other.
SINGLE = frozenset(
    {
        "authorization", "x-api-key", "x-goog-api-key", "content-length", "content-type", "content-encoding", "host", "idempotency-key",
        "x-cogo-strategy", "x-cogo-session", "x-cogo-tag", "x-request-timeout-ms", "anthropic-version",
    }
)  # fmt: skip
_KEYS = ("x-api-key", "x-goog-api-key")


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


def presented(headers: Mapping[str, str]) -> str | None:
    """The client key, wherever a dialect carries it; ``None``: there is none. Raises :class:`InvalidRequest` for two different keys."""
    found = []
    authorization = headers.get("authorization", "")
    if authorization[:7].lower() == "bearer ":
        found.append(authorization[7:].strip())
    found += [value for name in _KEYS if (value := headers.get(name, "").strip())]
    if len(set(found)) > 1:
        raise InvalidRequest(
            "Two different client keys were sent, in `authorization`, `x-api-key` or `x-goog-api-key`; send one.", param="authorization"
        )
    return found[0] if found else None


def required(key: str | None) -> str:
    """Raises :class:`Unauthenticated` without a key."""
    if key is None:
        raise Unauthenticated("No client key was sent; put it into the header “Authorization: Bearer …”, x-api-key or x-goog-api-key.")
    return key
