"""A refusal names the place in the body that the caller sent, whatever the provider's format."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.upstream import Upstream

EMPTY_CHAT: dict[str, Any] = {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": ""}]}
A_SYSTEM: dict[str, Any] = {"system": "s", "max_tokens": 9}
EMPTY: dict[str, Any] = {"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]}
LATER = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, *EMPTY["messages"]]}
G_EMPTY = [
    {"role": "user", "parts": [{"text": "a"}]},
    {"role": "model", "parts": [{"text": "b"}]},
    {"role": "user", "parts": [{"text": ""}]},
]
G_SYSTEM: dict[str, Any] = {"systemInstruction": {"parts": [{"text": "s"}]}}


@pytest.mark.parametrize(
    ("dialect", "wire", "body", "place"),
    [
        ("openai_chat", "up-claude", EMPTY_CHAT, "messages[1].content"),
        ("openai_chat", "up-gem", EMPTY_CHAT, "messages[1]"),
        ("anthropic_messages", "up-gem", A_SYSTEM | EMPTY, "messages[0]"),
        ("anthropic_messages", "up-gem", EMPTY | {"max_tokens": 9}, "messages[0]"),
        ("anthropic_messages", "up-gem", A_SYSTEM | LATER, "messages[2]"),
        ("gemini_generate", "up-claude", G_SYSTEM | {"contents": G_EMPTY}, "contents[2].parts"),
        ("gemini_generate", "up-claude", {"contents": G_EMPTY}, "contents[2].parts"),
        ("openai_responses", "up-claude", {"instructions": "s", "input": [{"role": "user", "content": ""}]}, "input"),
    ],
)
def test_an_empty_message_is_named_as_its_caller_knows_it(
    gateway: GatewayServer, replaying: Upstream, dialect: str, wire: str, body: dict[str, Any], place: str
) -> None:
    asked = len(replaying.asked)
    path = {"openai_chat": "/v1/chat/completions", "anthropic_messages": "/v1/messages", "openai_responses": "/v1/responses"}.get(dialect)
    model = f"{wire}/any"
    if path is None:
        answer = gateway.client(dialect).send(f"/v1beta/models/{model}:generateContent", body, False)
    else:
        answer = gateway.client(dialect).send(path, body | {"model": model}, False)
    assert answer.status == 400, answer.body
    assert len(replaying.asked) == asked
    message = answer.json["error"]["message"]
    assert f"`{place}` is empty" in message, message
