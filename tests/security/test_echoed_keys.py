"""A provider that repeats our key, encoded or in part, and a caller that types its key where a name belongs: neither gets any further."""

from __future__ import annotations

import base64
import json
import logging
import secrets
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.gateway import GatewayServer
from tests.support.upstream import Upstream, upstream

from .artefacts import Lines, database

FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 of a header": lambda s: base64.b64encode(f"Bearer {s}".encode()).decode(),
    "url-safe base64": lambda s: base64.urlsafe_b64encode(f"u:{s}".encode()).decode().rstrip("="),
    "hexadecimal": lambda s: s.encode().hex(),
    "percent-encoded": lambda s: quote(s, safe=""),
    "backwards": lambda s: s[::-1],
}
PARTS: dict[str, Callable[[str], str]] = {
    "its beginning": lambda s: s[:14],
    "its middle": lambda s: s[20:29],
    "its end": lambda s: s[-10:],
    "masked": lambda s: f"{s[:12]}****{s[-9:]}",
    "half of its base64": lambda s: base64.b64encode(s.encode()).decode()[4:24],
}
# Any piece of what was echoed that is this long is too much.
TOO_MUCH = 8


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    for one in (logging.getLogger(), logging.getLogger("cogo")):
        one.addHandler(handler)
    yield handler
    for one in (logging.getLogger(), logging.getLogger("cogo")):
        one.removeHandler(handler)


@pytest.fixture(scope="module")
def secret() -> str:
    return "k+/7" + secrets.token_hex(8) + "+/" + secrets.token_hex(12)


@pytest.fixture
def provider(gateway: GatewayServer, secret: str) -> Iterator[Upstream]:
    with upstream() as state:
        slug = f"echo-{state.port}"
        gateway.rows.provider(slug, state.url + "/v1", wire="openai_chat", ignore_health=True)
        gateway.rows.provider_key(slug, "default", secret)
        gateway.refresh()
        state.slug = slug  # type: ignore[attr-defined]
        yield state


def leaks(texts: Any, *echoed: str) -> list[str]:
    pieces = {one[at : at + TOO_MUCH] for one in echoed for at in range(len(one) - TOO_MUCH + 1)}
    telling = {piece for piece in pieces if not set(piece) <= set("*=")}
    return [
        text[max(0, text.find(hit) - 150) : text.find(hit) + 50] for text in texts if (hit := next((p for p in telling if p in text), ""))
    ]


def seen(gateway: GatewayServer, lines: Lines) -> list[str]:
    gateway.quiet()
    return [*lines.lines, *(row for table, row in database() if not table.endswith("_providerkey"))]


def test_an_error_that_repeats_the_key_in_any_form_or_part(gateway: GatewayServer, provider: Upstream, secret: str, lines: Lines) -> None:
    told = []
    for shape in (*FORMS.values(), *PARTS.values()):
        echoed = shape(secret)
        body = json.dumps({"error": {"message": f"no such key: {echoed}", "code": echoed, "type": echoed, "param": echoed}}).encode()
        provider.serve(body, status=400, x_request_id=quote(echoed))
        for dialect in ("openai_chat", "anthropic_messages", "native"):
            answer = gateway.ask(dialect, f"{provider.slug}/x")  # type: ignore[attr-defined]
            told.append(f"{answer.headers} {answer.body.decode()}")
        provider.stream(b'data: {"error":{"message":"' + echoed.encode() + b'","code":"x"}}\n\n')
        told.append(gateway.ask("openai_chat", f"{provider.slug}/x", stream=True).body.decode())  # type: ignore[attr-defined]
    # What encodes the words before the key tells nothing of it.
    masks = [shape(secret) for name, shape in FORMS.items() if name not in ("base64 of a header", "url-safe base64")]
    assert not leaks(told, *masks)
    assert not leaks(seen(gateway, lines), *masks)


@pytest.mark.parametrize("shape", FORMS)
def test_an_answer_that_repeats_the_whole_key(gateway: GatewayServer, provider: Upstream, secret: str, shape: str, lines: Lines) -> None:
    """In a body, in a stream, and cut by the pieces a stream comes in."""
    echoed = FORMS[shape](secret)
    message = {"role": "assistant", "content": f"it is {echoed}, no?"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    head = {"id": "c1", "model": "x"}
    choice = {"index": 0, "finish_reason": "stop"}
    whole = {**head, "object": "chat.completion", "choices": [{**choice, "message": message}], "usage": usage}
    delta = {**head, "object": "chat.completion.chunk", "choices": [{**choice, "delta": message}]}
    for dialect in ("openai_chat", "anthropic_messages", "gemini_generate"):
        provider.serve(json.dumps(whole).encode())
        answer = gateway.ask(dialect, f"{provider.slug}/x")  # type: ignore[attr-defined]
        assert answer.status == 200
        assert echoed[2:-2] not in answer.body.decode()
        assert "it is " in answer.text
        assert "***" in answer.text
        provider.stream(f"data: {json.dumps(delta)}\n\ndata: [DONE]\n\n".encode())
        answer = gateway.ask(dialect, f"{provider.slug}/x", stream=True)  # type: ignore[attr-defined]
        assert echoed[2:-2] not in answer.body.decode()
        assert "***" in answer.text
    assert echoed[2:-2] not in " ".join(seen(gateway, lines))


def test_an_answer_without_the_key_is_the_provider_s_byte_for_byte(gateway: GatewayServer, provider: Upstream, secret: str) -> None:
    example = f"sk-proj-{'0' * 22} is an example"
    choice = {"index": 0, "message": {"role": "assistant", "content": example}, "finish_reason": "stop"}
    odd = f"{secret[:12]} sk-{'a' * 30} Bearer abcdefghij"
    body = json.dumps(
        {"id": "c1", "object": "chat.completion", "created": 1, "model": "x", "odd": odd, "choices": [choice]}, indent=3
    ).encode()
    provider.serve(body)
    assert gateway.ask("openai_chat", f"{provider.slug}/x").body == body  # type: ignore[attr-defined]


def test_a_client_key_typed_where_a_name_belongs(gateway: GatewayServer, lines: Lines) -> None:
    key = gateway.issue(f"typed-{secrets.token_hex(3)}")
    told = []
    for dialect in ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate", "native"):
        for stream in (False, True):
            for more in ({}, {"metadata": {"user_id": key, "note": f"my key is {key}"}}, {"strategy": key}):
                if dialect in ("gemini_generate",) and more:
                    continue
                headers = {"x-cogo-tag": key, "x-cogo-session": key, "x-cogo-strategy": key} if more else {}
                answer = gateway.client(dialect, key).ask(key, stream=stream, headers=headers, **more)
                # What a model says, here the simulator with the name it was asked by, is the caller's byte for byte.
                told.append(f"{answer.headers} {answer.body.decode() if answer.status >= 400 else ''}")
                for model in ("chat/fault:ok", f"nowhere/{key}"):
                    answer = gateway.client(dialect, key).ask(model, stream=stream, headers={"x-cogo-tag": key}, **more)
                    told.append(f"{answer.headers} {answer.body.decode() if answer.status >= 400 else ''}")
    part = key.split("_")[2]
    assert not leaks(told, part)
    assert not leaks(seen(gateway, lines), part)
