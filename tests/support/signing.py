"""Providers that sign their thinking and refuse a stranger's, as the real ones do: two of them for each wire, on one port.

``/NAME/…``: NAME's own tokens begin with its name; a body with anybody else's is answered 400 in the words of the wire's real host.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What the body holds of tokens: they look like base64, wherever they stand.
_TOKEN = re.compile(r"c2lnbmVk[A-Za-z0-9+/]{8,}")
CALL = {"city": "Rome"}

REFUSALS = {
    "anthropic_messages": {"type": "error", "error": {"type": "invalid_request_error",
                           "message": "messages.1.content.0: Invalid `signature` in `thinking` block"}},
    "openai_responses": {"error": {"message": "The encrypted content gAAA could not be verified.", "type": "invalid_request_error",
                                   "param": None, "code": "invalid_encrypted_content"}},
    "gemini_generate": {"error": {"code": 400, "message": "Thought signature is not valid.", "status": "INVALID_ARGUMENT"}},
    "openai_chat": {"error": {"message": "Thought signature is not valid.", "type": "invalid_request_error", "param": None, "code": None}},
}  # fmt: skip


def token_of(name: str, number: int) -> str:
    return base64.b64encode(f"signed by {name} {number:04d}".encode().ljust(36, b"=")).decode()


def signer(token: str) -> str:
    return base64.b64decode(token).decode().split()[2]


class Signing:
    """``hosts``: name → wire. ``bodies``: what each was asked, refused or not."""

    def __init__(self) -> None:
        self.port = 0
        self.hosts: dict[str, str] = {}
        self.bodies: list[tuple[str, str]] = []
        self.refused = 0
        self._number = 0

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def answer(self, name: str, body: bytes) -> tuple[int, Any]:
        wire, text = self.hosts[name], body.decode()
        self.bodies.append((name, text))
        if any(signer(token) != name for token in _TOKEN.findall(text)):
            self.refused += 1
            return 400, REFUSALS[wire]
        self._number += 1
        return 200, _ANSWERS[wire](token_of(name, self._number), f"call_{name}_{self._number}")


def _messages(token: str, call: str) -> Any:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": token}
    use = {"type": "tool_use", "id": call, "name": "weather", "input": CALL}
    usage = {"input_tokens": 3, "output_tokens": 4}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [thinking, use], "stop_reason": "tool_use",
            "stop_sequence": None, "usage": usage}  # fmt: skip


def _responses(token: str, call: str) -> Any:
    reasoning = {"type": "reasoning", "id": f"rs_{call}", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": token}
    function = {"type": "function_call", "id": f"fc_{call}", "call_id": call, "name": "weather", "arguments": json.dumps(CALL),
                "status": "completed"}  # fmt: skip
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    return {"id": f"resp_{call}", "object": "response", "status": "completed", "model": "m", "output": [reasoning, function],
            "usage": usage}  # fmt: skip


def _gemini(token: str, call: str) -> Any:
    parts = [{"text": "Hm.", "thought": True}, {"functionCall": {"id": call, "name": "weather", "args": CALL}, "thoughtSignature": token}]
    used = {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}], "usageMetadata": used,
            "modelVersion": "m", "responseId": call}  # fmt: skip


def _chat(token: str, call: str) -> Any:
    function = {"id": call, "type": "function", "function": {"name": "weather", "arguments": json.dumps(CALL)}}
    message = {"role": "assistant", "content": None, "tool_calls": [function]}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}  # fmt: skip


_ANSWERS = {"anthropic_messages": _messages, "openai_responses": _responses, "gemini_generate": _gemini, "openai_chat": _chat}


@contextmanager
def signing() -> Iterator[Signing]:
    state = Signing()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, document = state.answer(self.path.split("/")[1], body)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
