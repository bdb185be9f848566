"""Real traffic served by an upstream, asked for through the gateway in every dialect: what the caller reads is what the provider said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import ValidationError

from tests.support.gateway import GatewayServer
from tests.support.reading import Said, read, read_body
from tests.support.speaking import Answer, events_of, request
from tests.support.upstream import WIRES, Upstream
from tests.wires import recorded
from tests.wires.recorded import Recorded

pytestmark = recorded.mark

DIALECTS = tuple(WIRES)
KINDS = {
    "chat": "openai_chat", "responses": "openai_responses", "messages": "anthropic_messages", "generate": "gemini_generate",
}  # fmt: skip
PROVIDERS = ("openai", "openai-compatible", "fireworks", "anthropic", "gemini")
ALL = [
    exchange
    for kind in KINDS
    for suffix in ("", "-stream")
    for provider in PROVIDERS
    for exchange in recorded.load(provider, kind + suffix)
    if exchange.status == 200
]
# Every recording in every dialect; the everyday suite takes each sixth.
CASES = [
    pytest.param(exchange, dialect, id=f"{exchange}-{dialect}", marks=[pytest.mark.slow] if at % 6 else [])
    for at, exchange in enumerate(ALL)
    for dialect in DIALECTS
]


@pytest.fixture(scope="module")
def server(gateway_server: GatewayServer) -> Iterator[GatewayServer]:
    yield gateway_server
    gateway_server.check()


def wire_of(exchange: Recorded) -> str:
    return KINDS[exchange.of]


def is_stream(exchange: Recorded) -> bool:
    return exchange.kind.endswith("-stream")


def failed(exchange: Recorded) -> bool:
    """Whether the provider reported an error, or blocked the prompt, inside its 200."""
    body = exchange.body_bytes
    if is_stream(exchange):
        return b'"error":{' in body.replace(b" ", b"").replace(b"\n", b"") or b"response.failed" in body or blocked(body)
    document = json.loads(body)
    return bool(document.get("error")) or blocked(body)


def blocked(body: bytes) -> bool:
    return b"blockReason" in body and b'"content"' not in body


def ask(gateway: GatewayServer, dialect: str, model: str, stream: bool) -> Answer:
    path, body = request(dialect, model, "Say something.", stream)
    if dialect == "openai_chat" and stream:
        body["stream_options"] = {"include_usage": True}
    if dialect == "gemini_generate":
        body["generationConfig"] = {"thinkingConfig": {"includeThoughts": True}}
    if dialect == "anthropic_messages":
        body |= {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    return gateway.client(dialect).send(path, body, stream)


def serve(upstream: Upstream, exchange: Recorded) -> None:
    kind = exchange.headers.get("content-type") or ("text/event-stream" if is_stream(exchange) else "application/json")
    upstream.serve(exchange.body_bytes, kind=kind)


@pytest.mark.parametrize(("exchange", "dialect"), CASES)
def test_what_a_caller_reads_is_what_the_provider_said(
    server: GatewayServer, replaying: Upstream, exchange: Recorded, dialect: str
) -> None:
    wire = wire_of(exchange)
    serve(replaying, exchange)
    answer = ask(server, dialect, f"{WIRES[wire][0]}/{exchange.file.stem[-60:]}", is_stream(exchange))
    if dialect == wire and blocked(exchange.body_bytes) and not naive_array(exchange):
        # In its own format it is an answer; to everybody else an error.
        assert (answer.status, answer.errors) == (200, [])
        assert answer.events == list(events_of(exchange.body_bytes)) if is_stream(exchange) else answer.body == exchange.body_bytes
        return
    if failed(exchange):
        server.forget()
        assert answer.status >= 400 or answer.errors
        assert dialect == "gemini_generate" or answer.terminals == 0  # Gemini's every chunk may carry a finish reason
        return
    if not ended(exchange):
        server.forget()
        assert answer.errors or answer.status >= 500
        return
    assert answer.status == 200, answer.body
    naive = read_body(wire, exchange.body_bytes, is_stream(exchange))
    if dialect == wire and not naive_array(exchange):
        same_bytes(answer.body, exchange)
        return
    compare(read(answer), naive, dialect, wire)


def ended(exchange: Recorded) -> bool:
    """Gemini's streams end by a finish reason; some were recorded without one."""
    if wire_of(exchange) == "gemini_generate" and is_stream(exchange):
        return b'"finishReason"' in exchange.body_bytes
    return True


def same_bytes(body: bytes, exchange: Recorded) -> None:
    """The gateway leaves out what follows the end mark, and makes up for a mark or a blank line that is missing at the end."""
    said = exchange.body_bytes
    if wire_of(exchange) == "openai_chat" and not body.startswith(said):
        # Only what breaks its own format is mended, and everything else keeps its bytes.
        mine, theirs = pieces(body, is_stream(exchange)), pieces(said, is_stream(exchange))
        assert len(mine) == len(theirs)
        for one, other, broken in zip(mine, theirs, breaks_its_format(theirs), strict=True):
            assert (one != other) == broken, other
        assert not any(breaks_its_format(mine))
        compare(
            read_body("openai_chat", body, is_stream(exchange)), read_body("openai_chat", said, is_stream(exchange)), *["openai_chat"] * 2
        )
        return
    if wire_of(exchange) == "openai_responses" and is_stream(exchange) and not body.startswith(said):
        # A final object that leaves out what was streamed is made whole; the other events keep their bytes.
        mine, theirs = ([one for one in pieces(text, True) if one != b"data: [DONE]"] for text in (body, said))
        changed = [(one, other) for one, other in zip(mine, theirs, strict=True) if one != other]
        assert all(len(output_of(one)) > len(output_of(other)) for one, other in changed), changed
        return
    assert body.startswith(said) or said.startswith(body)
    assert (body[len(said) :] or said[len(body) :]).strip() in (b"", b"data: [DONE]")


def output_of(piece: bytes) -> list[Any]:
    """The items of a final event."""
    event = json.loads(piece.partition(b"data:")[2])
    assert event["type"] == "response.completed"
    return list(event["response"]["output"])


def pieces(body: bytes, stream: bool) -> list[bytes]:
    return [one.strip() for one in body.replace(b"\r\n", b"\n").split(b"\n\n") if one.strip()] if stream else [body]


def breaks_its_format(pieces: list[bytes]) -> list[bool]:
    """For each, whether the official SDK's types refuse it, or the first chunk of an answer does not say whose it is."""
    begun: set[int] = set()
    found = []
    for piece in pieces:
        streamed = piece.startswith(b"data:")
        if piece.removeprefix(b"data:").strip() == b"[DONE]":
            found.append(False)
            continue
        value = json.loads(piece.removeprefix(b"data:"))
        if value.get("choices") == []:
            found.append(False)
            continue
        try:
            (ChatCompletionChunk if streamed else ChatCompletion).model_validate(value, strict=True)
        except ValidationError:
            found.append(True)
            continue
        fresh = [choice for choice in value["choices"] if streamed and choice["index"] not in begun]
        begun |= {choice["index"] for choice in fresh}
        found.append(any("role" not in choice["delta"] for choice in fresh))
    return found


def naive_array(exchange: Recorded) -> bool:
    """A stream that a host gave as one JSON array becomes events."""
    return is_stream(exchange) and exchange.body_bytes.startswith(b"[")


def compare(said: Said, naive: Said, dialect: str, wire: str) -> None:
    # Gemini and Messages have no field for a refusal.
    assert said.text == (naive.text or naive.refused if dialect in ("gemini_generate", "anthropic_messages") else naive.text)
    assert said.plain_calls == [(call.name, boxed(call.arguments, dialect)) for call in naive.calls]
    assert said.finish == naive.finish or (naive.finish, said.finish) in LESS
    if naive.usage is not None and said.usage is not None:
        assert said.usage[:3] == naive.usage[:3]


def boxed(arguments: Any, dialect: str) -> Any:
    """Free text of a custom tool stands in an object where the format wants one."""
    return {"input": arguments} if isinstance(arguments, str) and dialect in ("anthropic_messages", "gemini_generate") else arguments


# What the provider said and what it becomes in a format that has no word for it.
LESS = {("pause_turn", "stop"), ("OTHER", "error"), ("OTHER", "failed"), ("OTHER", "length"), ("", "stop")}
