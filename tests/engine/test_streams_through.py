"""Streams through the whole gateway: byte for byte in the caller's own format, and never an end that the provider did not make (T5)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.support.gateway import GatewayServer
from tests.support.host import Host

ODD = 'a\u2028b\u0085c\ufeffd \U0001f600 "quoted" \\u2028 data: [DONE] é'
SIZES = ("one", "two", "odd")


def chat(eol: bytes = b"\n") -> bytes:
    def data(delta: dict[str, str], finish: str | None = None) -> bytes:
        event = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "strange": [1.50, {"kept": None}]}
        event["choices"] = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return b"data: " + json.dumps(event, ensure_ascii=False).encode() + eol + eol

    usage = b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}' + eol + eol
    parts = [b": a comment" + eol + eol, data({"role": "assistant", "content": ""}), data({"content": "one "}), data({"content": ODD})]
    return b"".join([*parts, data({}, "stop"), usage, b"data: [DONE]" + eol + eol])


def messages() -> bytes:
    def event(name: str, **fields: object) -> bytes:
        return f"event: {name}\ndata: {json.dumps({'type': name, **fields}, ensure_ascii=False)}\n\n".encode()

    start = {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    return b"".join([
        event("message_start", message=start),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "one "}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": ODD}),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 4}),
        event("message_stop"),
    ])  # fmt: skip


FORMATS = {"openai_chat": ("host-chat", chat()), "anthropic_messages": ("host-claude", messages())}


@pytest.fixture(scope="module")
def host(gateway_server: GatewayServer) -> Iterator[Host]:
    host = Host()
    for slug, wire, url in (("host-chat", "openai_chat", host.url), ("host-claude", "anthropic_messages", host.url.removesuffix("/v1"))):
        gateway_server.rows.provider(slug, url, wire=wire, ignore_health=True)
    gateway_server.refresh()
    yield host
    host.close()


@pytest.mark.parametrize("dialect", FORMATS)
def test_a_stream_in_the_callers_format_is_relayed_byte_for_byte(gateway: GatewayServer, host: Host, dialect: str) -> None:
    slug, body = FORMATS[dialect]
    draw = random.Random(7)
    bodies = [body, chat(b"\r\n"), chat(b"\r")] if dialect == "openai_chat" else [body]
    more = {"stream_options": {"include_usage": True}} if dialect == "openai_chat" else {}
    for sent in bodies:
        for turn in range(12):
            cuts = sorted({0, len(sent), *(draw.randrange(len(sent)) for _ in range(turn * 5))})
            host.say([sent[a:b] for a, b in pairwise(cuts)])
            answer = gateway.ask(dialect, f"{slug}/x", stream=True, **more)
            assert answer.body == sent, cuts
            row = gateway.row(answer)
            assert (row.state, row.usage_source, row.output_tokens) == ("ok", "reported", 4)
    host.say([bytes([one]) for one in body])
    assert gateway.ask(dialect, f"{slug}/x", stream=True, **more).body == body


@pytest.mark.parametrize("caller", ["openai_chat", "anthropic_messages", "gemini_generate", "openai_responses", "native"])
@pytest.mark.parametrize("format_", FORMATS)
def test_a_stream_cut_anywhere_never_looks_complete(gateway: GatewayServer, host: Host, format_: str, caller: str) -> None:
    slug, body = FORMATS[format_]
    # Every third byte in the caller's own format, where bytes are passed on; elsewhere fewer. The deadline leaves no time for a second try.
    own = caller == format_
    ended = body.rindex(b'"finish_reason": "stop"') + 30 if format_ == "openai_chat" else body.rindex(b'"stop_reason": "end_turn"') + 80
    for cut in range(0, len(body), 3 if own else 23):
        host.say([body[:cut]], whole=False)
        answer = gateway.ask(caller, f"{slug}/x", stream=True, headers={"x-request-timeout-ms": "360"})
        if answer.status != 200:
            assert answer.code in ("upstream_truncated", "upstream_bad_event", "deadline_exceeded"), (cut, answer.body)
            continue
        assert not answer.broken
        if answer.errors:
            assert len(answer.errors) == 1, (cut, answer.body)
            assert answer.terminals == 0, (cut, answer.body)
            assert gateway.row(answer).state == "partial", cut
        else:
            # The provider had said why it stopped: that is an end, mark or not (U33).
            assert cut >= ended - 110, (cut, answer.body)
            assert answer.terminals == 1, (cut, answer.body)
            assert answer.text == "one " + ODD


@pytest.mark.parametrize("fault", ["fin", "noterm", "rst"])
def test_a_connection_that_breaks_after_any_event_never_looks_complete(gateway: GatewayServer, fault: str) -> None:
    whole = gateway.ask("openai_chat", "chat/fault:ok", stream=True).text
    for caller in ("openai_chat", "anthropic_messages", "gemini_generate", "openai_responses", "native"):
        for slug in ("chat", "claude", "gem", "responses"):
            gateway.forget()
            for at in (1, 2, 5):
                answer = gateway.ask(caller, f"{slug}/fault:{fault}@{at}", stream=True, headers={"x-request-timeout-ms": "5000"})
                if answer.status == 200:
                    assert len(answer.errors) == 1, (caller, slug, at, answer.body)
                    assert answer.terminals == 0, (caller, slug, at, answer.body)
                    assert whole.startswith(answer.text[:3])
