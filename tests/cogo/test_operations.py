"""``/metrics`` is for whoever has its token, wherever a request seems to come from."""

from __future__ import annotations

from typing import Any

import pytest

from cogo.operations import Operations

TOKEN = "-".join(["metrics"] * 3)


class Standing:
    draining = False


async def status(path: str, *headers: tuple[str, str], token: str = "", opened: bool = False, client: str = "127.0.0.1") -> int:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"path": path, "client": (client, 4711), "headers": [(name.encode(), value.encode()) for name, value in headers]}
    settings = {"metrics_token": token, "metrics_open": opened, "metrics_folder": ""}
    await Operations(settings, Standing()).answer(scope, send)
    return int(sent[0]["status"])


PROXIED = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via", "cf-connecting-ip", "true-client-ip"]


@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "203.0.113.9"])
async def test_an_address_opens_nothing(client: str) -> None:
    """A proxy in its default setting adds no header: its callers cannot be told from this machine's own programs."""
    assert await status("/metrics", client=client) == 401
    assert await status("/metrics", client=client, token=TOKEN) == 401
    for name in PROXIED:
        assert await status("/metrics", (name, "198.51.100.1"), client=client) == 401


async def test_the_token_opens_it_and_nothing_like_the_token() -> None:
    assert await status("/metrics", ("authorization", f"Bearer {TOKEN}"), token=TOKEN) == 200
    assert await status("/metrics", ("authorization", f"bearer  {TOKEN} "), token=TOKEN) == 200
    for wrong in (TOKEN, f"Basic {TOKEN}", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer é"):
        assert await status("/metrics", ("authorization", wrong), token=TOKEN) == 401, wrong
    twice = [("authorization", "Bearer x"), ("authorization", f"Bearer {TOKEN}")]
    assert await status("/metrics", *twice, token=TOKEN) == 401
    assert await status("/metrics", ("authorization", "Bearer "), token="") == 401


async def test_an_operator_may_open_it() -> None:
    assert await status("/metrics", opened=True) == 200
    assert await status("/metrics", opened=True, token=TOKEN) == 401, "a token that is set is asked for"


@pytest.mark.parametrize("path", ["/healthz", "/health"])
async def test_liveness_answers_under_both_names(path: str) -> None:
    assert await status(path) == 200
