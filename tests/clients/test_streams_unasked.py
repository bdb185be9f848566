"""Hosts that stream although nobody asked: the caller gets one whole answer, and the books hold it."""

from __future__ import annotations

import pytest

from tests.support.gateway import GatewayServer
from tests.support.reading import read
from tests.support.upstream import WIRES, Upstream

from .test_passthrough import STREAMS

HEAD = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
WHOLE = STREAMS | {
    "openai_chat": HEAD
    + b'"delta":{"role":"assistant","content":"hi"}}]}\n\n'
    + HEAD
    + b'"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}\n\ndata: [DONE]\n\n'
}


@pytest.mark.parametrize("wire", WHOLE)
@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate", "native"])
def test_an_unasked_stream_becomes_a_whole_answer(gateway: GatewayServer, replaying: Upstream, dialect: str, wire: str) -> None:
    replaying.stream(WHOLE[wire])
    answer = gateway.ask(dialect, f"{WIRES[wire][0]}/m")
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.text == "hi"
    row = gateway.row(answer)
    assert (row.state, row.usage_source) == ("ok", "reported")
    if dialect != "native":
        assert read(answer).text == "hi"


@pytest.mark.parametrize("wire", WHOLE)
def test_an_unasked_stream_that_breaks_is_no_answer(gateway: GatewayServer, replaying: Upstream, wire: str) -> None:
    replaying.stream(WHOLE[wire][: len(WHOLE[wire]) * 2 // 5])
    answer = gateway.ask("openai_chat", f"{WIRES[wire][0]}/m")
    assert answer.status >= 500, answer.body
    gateway.forget()
