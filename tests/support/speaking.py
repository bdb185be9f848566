"""A caller in any dialect, that reads answers as bytes and believes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate", "native")


@dataclass
class Answer:
    """``broken``: the connection ended before its framing was complete."""

    dialect: str
    stream: bool
    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: bool = False
    events: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if "event-stream" in self.headers.get("content-type", ""):
            self.events = list(events_of(self.body))

    @property
    def request_id(self) -> UUID:
        return UUID(self.headers["x-request-id"].removeprefix("req_"))

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def errors(self) -> list[Any]:
        """Error objects of the answer: of its events, or its body."""
        if not self.events:
            return [self.json] if self.status >= 400 else []
        return [data for name, data in self.events if _is_error(name, data)]

    @property
    def code(self) -> str | None:
        """The gateway's own word for what went wrong, wherever the dialect puts it."""
        for error in self.errors:
            inner = error.get("response", error).get("error", error)
            for place in (inner.get("code"), inner.get("details")):
                if isinstance(place, str):
                    return place
                if isinstance(place, dict) and "code" in place:
                    return str(place["code"])
                if isinstance(place, list):
                    return next((d["reason"].lower() for d in place if isinstance(d, dict) and "reason" in d), None)
            return inner.get("type")
        return None

    @property
    def terminals(self) -> int:
        """How many end marks of success the stream carries."""
        return sum(_is_terminal(self.dialect, name, data) for name, data in self.events)

    @property
    def text(self) -> str:
        if self.events or self.stream:
            return "".join(_piece(self.dialect, name, data) for name, data in self.events)
        return _whole(self.dialect, self.json)


class Speaker:
    def __init__(self, http: httpx.Client, dialect: str, key: str) -> None:
        self.http = http
        self.dialect = dialect
        self.key = key

    def ask(
        self, model: str, prompt: str = "say 10 words", *, stream: bool = False, headers: Mapping[str, str] | None = None, **more: Any
    ) -> Answer:
        path, body = request(self.dialect, model, prompt, stream, **more)
        return self.send(path, body, stream, headers)

    def send(self, path: str, body: Any, stream: bool, headers: Mapping[str, str] | None = None) -> Answer:
        sent = {**auth(self.dialect, self.key), **(headers or {})}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        got = b""
        with self.http.stream("POST", path, content=data, headers=sent) as response:
            broken = False
            try:
                for part in response.iter_raw():
                    got += part
            except httpx.RemoteProtocolError:
                broken = True
            return Answer(self.dialect, stream, response.status_code, dict(response.headers), got, broken)

    @contextmanager
    def opened(self, model: str, prompt: str = "say 10 words", *, stream: bool = True, **more: Any) -> Iterator[httpx.Response]:
        """The answer while it comes; leaving the block hangs up."""
        path, body = request(self.dialect, model, prompt, stream, **more)
        with self.http.stream("POST", path, json=body, headers=auth(self.dialect, self.key)) as response:
            yield response


def auth(dialect: str, key: str) -> dict[str, str]:
    headers = {"content-type": "application/json"}
    match dialect:
        case "anthropic_messages":
            return {**headers, "x-api-key": key, "anthropic-version": "2023-06-01"}
        case "gemini_generate":
            return {**headers, "x-goog-api-key": key}
        case _:
            return {**headers, "authorization": f"Bearer {key}"}


def request(dialect: str, model: str, prompt: str, stream: bool, **more: Any) -> tuple[str, dict[str, Any]]:
    """Path and body of one generation."""
    messages = [{"role": "user", "content": prompt}]
    match dialect:
        case "anthropic_messages":
            return "/v1/messages", {"model": model, "max_tokens": 500, "messages": messages, "stream": stream, **more}
        case "gemini_generate":
            how = "streamGenerateContent?alt=sse" if stream else "generateContent"
            return f"/v1beta/models/{model}:{how}", {"contents": [{"role": "user", "parts": [{"text": prompt}]}], **more}
        case "openai_responses":
            return "/v1/responses", {"model": model, "input": prompt, "stream": stream, **more}
        case "native":
            return "/api/ai-models/generate", {"model": model, "prompt": prompt, "stream": stream, **more}
        case _:
            return "/v1/chat/completions", {"model": model, "messages": messages, "stream": stream, **more}


def events_of(body: bytes) -> Iterator[tuple[str, Any]]:
    """(event name, data) of a stream; data is parsed where it is JSON."""
    for block in body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        name, data = "", []
        for line in block.split(b"\n"):
            key, _, value = line.partition(b":")
            if key == b"event":
                name = value.strip().decode()
            elif key == b"data":
                data.append(value.removeprefix(b" "))
        if data:
            text = b"\n".join(data).decode()
            try:
                yield name, json.loads(text)
            except ValueError:
                yield name, text


def _is_error(name: str, data: Any) -> bool:
    return isinstance(data, dict) and (
        name in ("error", "response.failed")
        or data.get("type") in ("error", "response.failed")
        or ("error" in data and bool(data["error"]))
    )


def _is_terminal(dialect: str, name: str, data: Any) -> bool:
    match dialect:
        case "anthropic_messages":
            return name == "message_stop"
        case "gemini_generate":
            return isinstance(data, dict) and any(c.get("finishReason") for c in data.get("candidates") or ())
        case "openai_responses":
            return name in ("response.completed", "response.incomplete")
        case "native":
            return name == "done"
        case _:
            return data == "[DONE]"


def _piece(dialect: str, name: str, data: Any) -> str:
    if not isinstance(data, dict):
        return ""
    match dialect:
        case "anthropic_messages":
            return (data.get("delta") or {}).get("text", "") if name == "content_block_delta" else ""
        case "gemini_generate":
            return _gemini(data)
        case "openai_responses":
            return data.get("delta", "") if name == "response.output_text.delta" else ""
        case "native":
            return data.get("content", "") if name == "delta" else ""
        case _:
            return "".join((c.get("delta") or {}).get("content") or "" for c in data.get("choices") or ())


def _whole(dialect: str, data: Any) -> str:
    match dialect:
        case "anthropic_messages":
            return "".join(block.get("text", "") for block in data["content"])
        case "gemini_generate":
            return _gemini(data)
        case "openai_responses":
            return "".join(p.get("text", "") for item in data["output"] for p in item.get("content") or () if p["type"] == "output_text")
        case "native":
            return str(data["content"])
        case _:
            return "".join(c["message"].get("content") or "" for c in data["choices"])


def _gemini(data: Any) -> str:
    return "".join(
        p.get("text", "") for c in data.get("candidates") or () for p in (c.get("content") or {}).get("parts") or () if not p.get("thought")
    )
